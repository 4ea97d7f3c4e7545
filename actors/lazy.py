"""Open the door of a package without loading what is behind it.

A face that imports all that it names makes every user pay for all of it. `lazy_door` gives a
package the two functions by which Python asks a module for a name that it does not have yet
(PEP 562): a name is imported from where it lives when it is first used, and is an ordinary one
from then on.

A type checker must not see them, or it would take every name for known. So a face has its names
three times: imported under `TYPE_CHECKING`, in the table that stands in the `else`, and in
`__all__`. A test sees to it that they agree.

>>> import sys, types
>>> sys.modules["shop"] = shop = types.ModuleType("shop")
>>> shop.__getattr__, shop.__dir__ = lazy_door("shop", {"fractions": "Fraction Decimal"})
>>> "Fraction" in dir(shop), "Fraction" in vars(shop)
(True, False)
>>> from shop import Fraction
>>> Fraction(1, 2) + Fraction(1, 3), "Fraction" in vars(shop)
(Fraction(5, 6), True)
>>> shop.nothing
Traceback (most recent call last):
    ...
AttributeError: module 'shop' has no attribute 'nothing'
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

    Asked for a name that is in no module, `__getattr__` raises AttributeError, as it should:
    `from package import submodule` relies on that.
    """
    homes = {name: module for module, names in places.items() for name in names.split()}

    def load(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)  # asked for once: found at once from now on
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names
