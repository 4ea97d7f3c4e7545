"""Run incarnations: the room behind the addresses.

An incarnation is one life of a proc, from its factory's result to the announcement of its end. An
actor system makes addresses, puts incarnations there, and stops them; all the rest happens here.

Read `incarnation` first, a life from start to end; `life` says which of its fields the parts share.
Then the parts: `receiver` (the loop that takes mail; `inline` answers without it), `links`,
`background`. `ending` announces an end and settles what was left; `spawning` and `children` begin
lives, `stopping` ends those below one. Who supervises stops its children in its own `run`, before
the engine looks for what is left: see `supervision.supervisors.base`.

>>> [phase.name.lower() for phase in Phase]
['starting', 'running', 'stopping', 'ended']
"""

from __future__ import annotations

from actors.engine.children import reserve_child, spawn_child
from actors.engine.incarnation import Incarnation
from actors.engine.life import Phase
from actors.engine.spawning import new_address, spawn_into
from actors.engine.stopping import stop_children

__all__ = [
    "Incarnation",
    "Phase",
    "new_address",
    "reserve_child",
    "spawn_child",
    "spawn_into",
    "stop_children",
]
