"""``exchange config``, and how every command comes to its settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape

from exchange.cli.console import ConfigOption, PresetOption, fail, out, say
from exchange.config import Config, ConfigError, load_config

app = typer.Typer(help="Look at the settings.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """Look at the settings."""


@app.command()
def show(
    config: ConfigOption = None,
    preset: PresetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Print every setting in force: defaults, then the file, then EXCHANGE_... of the environment."""
    values = msgspec.to_builtins(load(config, {"game.preset": preset}))
    if as_json:
        say(json.dumps(values, indent=2))
        return
    for section, entries in values.items():
        out.print(f"[bold]\\[{section}][/bold]")
        for name, value in entries.items():
            line = f"{name} = {json.dumps(value)}" if value is not None else f"# {name} is not set"
            out.print(escape(line), soft_wrap=True)
        out.print()


def load(config: Path | None, overrides: dict[str, Any]) -> Config:
    """The settings in force; ends the command when they cannot be used."""
    try:
        return load_config(config, os.environ, overrides)
    except ConfigError as error:
        fail(str(error), 2)
