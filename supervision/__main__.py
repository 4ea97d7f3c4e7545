"""Make `python -m supervision` the console command `super-visor`.

>>> main(["tree", "nothing"])
2
"""

from __future__ import annotations

import sys

from supervision.process import main

__all__ = ["main"]


if __name__ == "__main__":
    sys.exit(main())
