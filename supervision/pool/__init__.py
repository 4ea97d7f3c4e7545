"""Share one queue of jobs among supervised workers."""

from supervision.pool.handle import Pool
from supervision.pool.messages import (
    JobExpired,
    NoWorkers,
    PoolDraining,
    PoolFull,
    PoolJob,
    PoolStatistics,
    WorkerStatistics,
)
from supervision.pool.routing import Routing
from supervision.pool.spec import Discard, PoolSpec

__all__ = [
    "Discard",
    "JobExpired",
    "NoWorkers",
    "Pool",
    "PoolDraining",
    "PoolFull",
    "PoolJob",
    "PoolSpec",
    "PoolStatistics",
    "Routing",
    "WorkerStatistics",
]
