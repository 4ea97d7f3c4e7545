"""Run one-off functions under supervision: tasks, their supervisor, and maps over many items."""

from supervision.tasks.map import Failed, Outcome, Succeeded, TaskMap
from supervision.tasks.tasks import Tasks, TaskSupervisor

__all__ = [
    "Failed",
    "Outcome",
    "Succeeded",
    "TaskMap",
    "TaskSupervisor",
    "Tasks",
]
