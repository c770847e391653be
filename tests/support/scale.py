"""How much a test tries: little in CI, far more in a long run, chosen by EXCHANGE_TEST_SCALE.

Unset it is what CI runs; ``long`` the amounts in docs/reliability.md; a number multiplies those of CI.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SCALE: Final = os.environ.get("EXCHANGE_TEST_SCALE", "1")
SEED: Final = os.environ.get("EXCHANGE_TEST_SEED", "1")
IS_LONG: Final = SCALE == "long"


def amount(ci: int, long: int) -> int:
    """How many cases to try; at least one."""
    return long if IS_LONG else max(1, round(ci * float(SCALE)))


def limit_s(ci: float) -> float:
    """The timeout of a test that tries so many; 0, none, where more is asked for than in CI."""
    return 0 if IS_LONG or float(SCALE) > 1 else ci


def chance(*case: object) -> random.Random:
    """The random stream of one case: the same for the same EXCHANGE_TEST_SEED and name."""
    return random.Random(_name(*case))


@contextmanager
def seeded(*case: object) -> Iterator[random.Random]:
    """``chance``; a case that fails says which one it was and how to meet it again."""
    try:
        yield chance(*case)
    except BaseException as error:
        error.add_note(f"case {_name(*case)!r}: run again with EXCHANGE_TEST_SEED={SEED}")
        raise


def figures(what: str, **measured: object) -> None:
    """A line for docs/reliability.md in the file that EXCHANGE_TEST_FIGURES names, if it names one."""
    if path := os.environ.get("EXCHANGE_TEST_FIGURES"):
        with Path(path).open("a") as file:
            file.write(f"{what}: {', '.join(f'{name} {value}' for name, value in measured.items())}\n")


def _name(*case: object) -> str:
    return "/".join(map(str, (SEED, *case)))
