"""docs/simulation.md against the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import typer.main

from exchange.cli import app
from tests.support.commands import REPOSITORY, environment

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "simulation.md").read_text()


def test_simulation_page_lists_every_option() -> None:
    """Of ``exchange simulate``, no more and no fewer."""
    command = typer.main.get_command(app).commands["simulate"]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts}
    rows = re.findall(r"^\| (`--.*?) \|", PAGE, re.MULTILINE)
    assert set(re.findall(r"--[a-z]+", " ".join(rows))) == options


def test_simulation_page_program_runs() -> None:
    """It prints the hour at which it traded, what is held, and what was sequenced."""
    program = re.search(r"```python\n# market\.py\n(.*?)```", PAGE, re.DOTALL)
    assert program is not None
    done = subprocess.run(
        [sys.executable, "-c", program[1]],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("2024-01-01 01:00:00") and "'SPX': 2" in line for line in lines), lines
    assert lines[-1].endswith("NewOrder")
