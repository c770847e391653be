"""``exchange export``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from exchange.cli.console import ConfigOption, fail, say
from exchange.cli.settings import load
from exchange.storage.errors import StorageError
from exchange.storage.names import FileKind, TableName


def export(
    what: Annotated[TableName, typer.Option(help="Which table.", show_default=False)],
    to: Annotated[
        Path, typer.Option(metavar="FILE", help="Where; replaced when it exists.", show_default=False)
    ],
    kind: Annotated[
        FileKind, typer.Option("--format", help="Parquet needs the extra `parquet`.")
    ] = FileKind.CSV,
    config: ConfigOption = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the game.", show_default=False)
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Database, where it is not the file in DIR.", show_default=False),
    ] = None,
) -> None:
    """Write one of the SQL tables to a file, beside a running server or after it has stopped."""
    # Every other command would load SQLAlchemy with this one, the server too.
    from exchange.storage.database import database_url  # noqa: PLC0415
    from exchange.storage.export import export_table  # noqa: PLC0415

    settings = load(config, {"server.data": data and str(data), "storage.url": url})
    try:
        database = database_url(settings.storage.url, Path(settings.server.data))
        done = asyncio.run(export_table(database, what, kind, to))
    except StorageError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{to}: {error.strerror or error}")
    say(f"{to}: {done.rows} rows of {what}, up to sequence {done.sequence}")
