"""docs/reliability.md against the tests it speaks of."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
CRASH = ROOT / "tests" / "crash"
EVERY = ("every byte of 1 MiB", "every length")
ROW = re.compile(r"^\| [^|]+ \| ([\d,]+) \| ([^|]+) \| `(test_\w+\.py)` \|$", re.MULTILINE)


def _amounts(file: str) -> set[tuple[str, str]]:
    """For CI and for a long run."""
    return set(re.findall(r"amount\(([\d_]+), (\w+)\)", (CRASH / file).read_text()))


def test_reliability_page_tells_the_amounts() -> None:
    """Each row of the table is in the test it names, for CI and for a long run."""
    rows = ROW.findall(PAGE)
    assert len(rows) >= 9
    for ci, long, file in rows:
        if file != "test_journal_damage.py":
            amounts = ci.replace(",", "_"), "EVERY_BYTE" if long in EVERY else long.replace(",", "_")
            assert amounts in _amounts(file), (ci, long, file)


def test_reliability_page_names_what_exists() -> None:
    """Its variables are read by the tests."""
    scale = (ROOT / "tests" / "support" / "scale.py").read_text()
    for name in set(re.findall(r"EXCHANGE_TEST_[A-Z]+", PAGE)):
        assert f'"{name}"' in scale, name
