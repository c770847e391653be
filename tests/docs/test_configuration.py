"""docs/configuration.md against the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from exchange.config import Config, load_config
from exchange.model.instrument import Instrument
from exchange.model.presets import PRESETS
from exchange.model.roles import Constraint, QuoteRules, Role
from exchange.model.rules import Bands, BatchAuctions, Closing, ClosingCancels
from exchange.model.schedule import Schedule
from exchange.model.types import SelfTradePrevention

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def _sections() -> dict[str, str]:
    parts = re.split(r"^#{2,3} ", PAGE.read_text(), flags=re.MULTILINE)
    return {title.strip().strip("`"): body for title, _, body in (part.partition("\n") for part in parts)}


def _rows(section: str) -> list[list[str]]:
    lines = [line for line in _sections()[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _names(section: str) -> set[str]:
    return {name for row in _rows(section) for name in re.findall(r"`(\w+)`", row[0])}


def test_configuration_page_lists_every_setting() -> None:
    """Each section's table has the settings of the code, no more and no fewer."""
    for section in Config.__struct_fields__:
        fields = type(getattr(Config(), section)).__struct_fields__
        assert _names(f"[{section}]") == set(fields), section


def test_configuration_page_tells_the_defaults() -> None:
    """A default that is told is the one in force."""
    for section in Config.__struct_fields__:
        for name, told, *_ in _rows(f"[{section}]"):
            if told.startswith("`") and not told.startswith("`{"):
                value = getattr(getattr(Config(), section), name.strip("`"))
                shown = tomllib.loads(f"value = {told.strip('`')}")["value"]
                assert shown == value, name


def test_configuration_page_lists_presets_constraints_and_tables() -> None:
    """Presets, roles, instruments, bands and constraint types are all there."""
    assert _names("Presets") == set(PRESETS)
    assert _names("[[game.instruments]]") == set(Instrument.__struct_fields__)
    assert _names("[[game.roles]]") == set(Role.__struct_fields__)
    assert _names("Quotes") == set(QuoteRules.__struct_fields__)
    assert _names("[game.bands]") == set(Bands.__struct_fields__)
    assert _names("[game.schedule]") == set(Schedule.__struct_fields__)
    assert _names("[game.closing]") == set(Closing.__struct_fields__)
    assert _names("[game.batch_auctions]") == set(BatchAuctions.__struct_fields__)
    assert all(f"`{each.value}`" in _sections()["[game.closing]"] for each in ClosingCancels)
    assert all(f"`{each.value}`" in _sections()["[game]"] for each in SelfTradePrevention)
    types = {kind.__struct_config__.tag for kind in Constraint.__subclasses__()}
    rows = _rows("Constraints")
    assert {row[0].strip("`") for row in rows} == types
    for kind in Constraint.__subclasses__():
        row = next(row for row in rows if row[0].strip("`") == kind.__struct_config__.tag)
        own = set(kind.__struct_fields__) - set(Constraint.__struct_fields__)
        assert set(re.findall(r"`(\w+)", row[1])) == own


def test_configuration_example_is_accepted(tmp_path: Path) -> None:
    """The example on the page is a configuration."""
    example = re.search(r"```toml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert example is not None
    path = tmp_path / "example.toml"
    path.write_text(example[1])
    assert msgspec.to_builtins(load_config(path, {}))["game"]["preset"] == "small"
