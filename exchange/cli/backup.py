"""``exchange backup`` and ``exchange restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from exchange.app import replay_journal
from exchange.base.clock import SystemClock
from exchange.cli.console import DEFAULT_DATA, DataOption, count_records, errors, fail, say
from exchange.cli.replay import show_state
from exchange.journal.backup import BackupRefused, Manifest, back_up
from exchange.journal.backup import restore as restore_files
from exchange.journal.protocol import JournalError
from exchange.wire.times import time_text


def backup(
    to: Annotated[
        Path,
        typer.Option(
            metavar="DIR|FILE",
            help="A new folder, or a new file that ends in .tar, .tar.gz or .tgz.",
            show_default=False,
        ),
    ],
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Copy a game while its server runs, and verify the copy.

    Every order acknowledged before the command began is in it. The admin key is not.
    """
    try:
        with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
            task = bar.add_task("journal", total=None)
            manifest = back_up(
                data,
                to,
                SystemClock().now_us(),
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (BackupRefused, JournalError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or to}: {error.strerror or error}")
    say(f"{to}: {_holds(manifest)}, verified")


def restore(
    source: Annotated[
        Path,
        typer.Option("--from", metavar="DIR|FILE", help="What `exchange backup` wrote.", show_default=False),
    ],
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder for the game; absent or empty.", show_default=False),
    ],
) -> None:
    """Put a backup where a server can start on it, verify it, and say what it holds. Overwrites nothing."""
    try:
        manifest = restore_files(source, data)
        replayed = replay_journal(data, snapshots=True, progress=count_records)
    except (BackupRefused, JournalError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or data}: {error.strerror or error}")
    say(f"{data}: {_holds(manifest)}, verified; the backup was made {time_text(manifest.made_at_us)}")
    show_state(replayed)
    if replayed.failure is not None:
        fail(f"replay fails at sequence {replayed.failure.sequence}: {replayed.failure.error}")


def _holds(manifest: Manifest) -> str:
    size = sum(digest.size for digest in manifest.files.values())
    snapshots = len(manifest.files) - 2
    taken = {0: "no snapshot", 1: "1 snapshot"}.get(snapshots, f"{snapshots} snapshots")
    return f"everything up to sequence {manifest.sequence}, {taken}, {size:,} bytes"
