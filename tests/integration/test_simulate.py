"""``exchange simulate`` as its users run it: the same game from the same seed, wherever it is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache

import pytest

from tests.support.commands import REPOSITORY, environment, run

ARGUMENTS = ("simulate", "--seed", "3", "--hours", "0.03", "--bots", "20")


def _hashes(output: str) -> tuple[str, ...]:
    found = re.findall(r"^(?:journal|state) +([0-9a-f]+)$", output, flags=re.MULTILINE)
    assert [len(each) for each in found] == [64, 32], output
    return tuple(found)


@cache
def _expected() -> tuple[str, ...]:
    return _hashes(run(*ARGUMENTS, given={"PYTHONHASHSEED": "0"}).stdout)


def _in(program: str, *, hash_seed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "-m", "exchange", *ARGUMENTS],
        cwd=REPOSITORY,
        env=environment({"PYTHONHASHSEED": hash_seed}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_simulate_prints_a_summary() -> None:
    """How long, what was sequenced, how much traded, and two hashes."""
    done = run(*ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.match(r"market +0\.03 h with 20 bots, seed 3, in \d+\.\d s\nrecords +[\d,]+: ", done.stdout)
    assert re.search(r"^trades +[1-9]", done.stdout, flags=re.MULTILINE)
    assert _hashes(done.stdout) == _expected()


def test_simulate_begins_when_it_is_told() -> None:
    """A market with hours trades when its day has begun: here half past nine in Chicago, in winter."""
    done = run("simulate", "--preset", "weekday", "--start", "2024-01-02T15:29", "--hours", "0.05")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^records .* SetPhase", done.stdout, flags=re.MULTILINE)
    assert re.search(r"^trades +[1-9]", done.stdout, flags=re.MULTILINE)


@pytest.mark.parametrize("hash_seed", ["1", "4294967295", "random"])
def test_simulate_is_the_same_under_any_hash_seed(hash_seed: str) -> None:
    """Byte for byte: no set and no dictionary of objects decides anything."""
    assert _hashes(_in(sys.executable, hash_seed=hash_seed).stdout) == _expected()


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_simulate_is_the_same_on_every_python(minor: int) -> None:
    """On those that are here and have what the exchange needs; the reason of a skip names what is missing.

    EXCHANGE_PYTHONS may name more interpreters, separated as in PATH.
    """
    program = _python(minor)
    done = _in(program, hash_seed="random")
    assert done.returncode == 0, done.stderr
    assert _hashes(done.stdout) == _expected()


def _python(minor: int) -> str:
    given = [each for each in os.environ.get("EXCHANGE_PYTHONS", "").split(os.pathsep) if each]
    on_path = [shutil.which(f"python3.{minor}"), *given]
    own = [sys.executable] if sys.version_info[1] == minor else []
    lacks = f"no python3.{minor} on PATH or in EXCHANGE_PYTHONS"
    for program in filter(None, (*own, *reversed(on_path))):
        ask = "import sys; print(sys.version_info[1]); import exchange.cli"
        asked = subprocess.run(
            [program, "-c", ask], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        if asked.stdout.strip() != str(minor):
            continue
        if asked.returncode == 0:
            return program
        lacks = f"python3.{minor} cannot run the exchange: {asked.stderr.strip().splitlines()[-1]}"
    pytest.skip(lacks)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--preset", "nothing"), "unknown preset"),
        (("--bots", "100000"), "bots"),
        (("--hours", "-1"), "hours"),
        (("--hours", "inf"), "hours"),
    ],
)
def test_simulate_refuses_nonsense(arguments: tuple[str, ...], says: str) -> None:
    """With exit code 2 and a line that says what is wrong."""
    done = run("simulate", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
