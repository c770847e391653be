"""The command as its users run it: a process of its own, with nothing of the caller's settings."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

REPOSITORY: Final = Path(__file__).resolve().parents[2]
DEADLINE_S: Final = 60.0

T = TypeVar("T")


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of the caller without its EXCHANGE_ and DEMO_ variables; ``given`` on top."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("EXCHANGE_", "DEMO_"))}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", **(given or {})}


def start(
    *arguments: str | Path, cwd: Path = REPOSITORY, given: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """``exchange ARGUMENTS`` as a child."""
    return subprocess.Popen(
        [sys.executable, "-m", "exchange", *map(str, arguments)],
        cwd=cwd,
        env=environment(given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    *arguments: str | Path,
    cwd: Path = REPOSITORY,
    given: Mapping[str, str] | None = None,
    deadline_s: float = DEADLINE_S,
) -> subprocess.CompletedProcess[str]:
    """``exchange ARGUMENTS`` to its end; raises TimeoutExpired."""
    with start(*arguments, cwd=cwd, given=given) as process:
        try:
            out, err = process.communicate(timeout=deadline_s)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def children(pid: int) -> list[int]:
    """Processes that ``pid`` started and that still run."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def eventually(look: Callable[[], T], deadline_s: float = 30.0) -> T:
    """What ``look`` sees as soon as it is true; fails after ``deadline_s``."""
    ends = time.monotonic() + deadline_s
    while not (seen := look()):
        assert time.monotonic() < ends, f"still {seen!r} after {deadline_s} s"
        time.sleep(0.02)
    return seen
