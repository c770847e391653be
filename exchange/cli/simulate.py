"""``exchange simulate``."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import Annotated

import typer

from exchange.base.bounds import MAX_SIMULATED_BOTS, MAX_SIMULATED_HOURS
from exchange.cli.console import ConfigOption, fail, say
from exchange.cli.settings import load
from exchange.log import configure_logging
from exchange.model.presets import PRESETS
from exchange.pipeline.recovery import StartError
from exchange.simulation.run import Outcome, Scenario
from exchange.simulation.run import simulate as play

_PRESET = "small"
_START = datetime(2024, 1, 1)  # noqa: DTZ001 - typer parses times without a zone; this one is UTC

PresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Rules of the game: {', '.join(PRESETS)}.",
        show_default=f"{_PRESET}, or that of --config",
    ),
]


def simulate(
    seed: Annotated[int, typer.Option(metavar="N", help="Everything random comes from it.")] = 1,
    hours: Annotated[
        float,
        typer.Option(
            min=0, max=MAX_SIMULATED_HOURS, metavar="H", help="How long the market runs, in its own time."
        ),
    ] = 1.0,
    bots: Annotated[
        int, typer.Option(min=0, max=MAX_SIMULATED_BOTS, metavar="N", help="Sample bots that trade on it.")
    ] = 20,
    start: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            metavar="TIME",
            show_default="2024-01-01",
            help="When it begins, in UTC: for a market that has hours.",
        ),
    ] = _START,
    preset: PresetOption = None,
    config: ConfigOption = None,
) -> None:
    """Run a market with bots in virtual time: hours in seconds, and the same seed gives the same game.

    Nothing is written and nothing listens. The last two lines are hashes of every record and of the state
    they come to: two runs of one seed agree in both, on any Python and any machine.
    """
    settings = load(config, {"game.preset": preset or (_PRESET if config is None else None)})
    configure_logging("error", json=False)
    started_s = perf_counter()
    try:
        outcome = play(
            Scenario(config=settings, seed=seed, hours=hours, bots=bots, start=start.replace(tzinfo=UTC))
        )
    except StartError as error:
        fail(str(error))
    _tell(outcome, hours, bots, seed, perf_counter() - started_s)


def _tell(outcome: Outcome, hours: float, bots: int, seed: int, seconds: float) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in outcome.commands.items())
    say(f"market    {hours:g} h with {bots} bots, seed {seed}, in {seconds:.1f} s")
    say(f"records   {outcome.records:,}: {counts}")
    say(f"trades    {outcome.trades:,}")
    say(f"journal   {outcome.journal_hash}")
    say(f"state     {outcome.state_hash}")
