"""Open the door of a room without loading what is behind it.

`lazy_door` gives a package the two functions by which Python asks a module for a name that it does
not have yet (PEP 562). A face has its names imported under `TYPE_CHECKING`, for the checkers, and
in the table that stands in the `else`.

>>> import sys, types
>>> sys.modules["shop"] = shop = types.ModuleType("shop")
>>> shop.__getattr__, shop.__dir__ = lazy_door("shop", {"fractions": "Fraction"})
>>> from shop import Fraction
>>> Fraction(1, 2), "Fraction" in dir(shop)
(Fraction(1, 2), True)
>>> del sys.modules["shop"]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazy_door"]


def lazy_door(
    package: str, places: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package; `places` has each module's names, as words.

    Asked for a name that is in no module, `__getattr__` raises AttributeError.
    """
    homes = {name: module for module, names in places.items() for name in names.split()}

    def load(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names
