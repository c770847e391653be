"""``exchange project`` and ``exchange export`` as a person runs them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from tests.support.databases import Database
from tests.support.projected import played, write_journal


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "exchange", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_project_then_export(tmp_path: Path) -> None:
    """A stopped game gets its tables in its own folder, and a table becomes a file."""
    batches, data = await played(150), str(tmp_path / "data")
    last = batches[-1].last_sequence
    write_journal(tmp_path / "data", batches)
    for arguments in ((), ("--rebuild",)):
        done = run("project", "--data", data, *arguments)
        assert (done.returncode, done.stdout) == (0, f"the tables are at sequence {last}\n"), done.stderr
    rows = (await Database("sqlite", f"sqlite:///{data}/projection.db").content())["trades"]
    for kind in ("csv", "parquet"):
        file = tmp_path / f"trades.{kind}"
        done = run("export", "--data", data, "--what", "trades", "--format", kind, "--to", str(file))
        assert done.stdout == f"{file}: {len(rows)} rows of trades, up to sequence {last}\n", done.stderr
    with (tmp_path / "trades.csv").open(newline="") as lines:
        assert [int(line["trade_id"]) for line in csv.DictReader(lines)] == [row[0] for row in rows]


async def test_project_refuses_with_words(tmp_path: Path) -> None:
    """No game, tables of another game, a database that is none: exit code 1 or 2, and what to do."""
    nothing = run("project", "--data", str(tmp_path))
    assert nothing.returncode == 1
    assert "there is no game" in nothing.stderr
    assert os.listdir(tmp_path) == []
    url = f"sqlite:///{tmp_path}/tables.db"
    for seed, name in ((1, "one"), (2, "two")):
        write_journal(tmp_path / name, await played(40, seed))
    assert run("project", "--data", str(tmp_path / "one"), "--url", url).returncode == 0
    other = run("project", "--data", str(tmp_path / "two"), "--url", url)
    assert other.returncode == 1
    assert "exchange project --rebuild" in " ".join(other.stderr.split())
    assert run("project", "--data", str(tmp_path / "one"), "--url", "oracle://x").returncode == 2
    export = run("export", "--data", str(tmp_path / "two"), "--what", "fees", "--to", str(tmp_path / "f.csv"))
    assert export.returncode == 1
    assert "`exchange project` makes them" in " ".join(export.stderr.split())
