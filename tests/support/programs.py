"""Programs printed in the documents, run as they stand."""

from __future__ import annotations

import asyncio
import sys

DEADLINE_S = 20
_PRINTED = "127.0.0.1:8000"


async def run_program(program: str, port: int) -> list[str]:
    """What ``program`` prints when the exchange it speaks of listens on ``port``; it must end well."""
    assert _PRINTED in program
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program.replace(_PRINTED, f"127.0.0.1:{port}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return out.decode().splitlines()
