"""``exchange team``: the operator's acts on a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from exchange.cli.console import complain, errors, exchange_url, fail, out, say
from exchange.client import (
    ConnectionLost,
    ExchangeError,
    HttpTransport,
    OperatorClient,
    Retries,
    Unauthenticated,
)
from exchange.config import Config
from exchange.model.reasons import Code
from exchange.serve import ADMIN_KEY_FILE
from exchange.wire.data import TeamView

app = typer.Typer(help="Manage teams on a running server, with the admin key.", no_args_is_help=True)

UrlOption = Annotated[
    str,
    typer.Option(metavar="URL", parser=exchange_url, help="Where the server listens.", envvar="EXCHANGE_URL"),
]
KeyOption = Annotated[
    Path,
    typer.Option(
        "--admin-key",
        metavar="FILE",
        help="File with the admin key; the server's ready line says where it is.",
        envvar="EXCHANGE_ADMIN_KEY_FILE",
    ),
]
TeamArgument = Annotated[
    str, typer.Argument(metavar="TEAM", help="Id of the team, e.g. TEAM_1.", show_default=False)
]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the journal.")]

_SERVER: Final = Config().server
DEFAULT_URL: Final = f"http://{_SERVER.host}:{_SERVER.port}"
DEFAULT_KEY: Final = Path(_SERVER.data) / ADMIN_KEY_FILE

T = TypeVar("T")


@app.command()
def add(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name of the team, unique in the game.", show_default=False),
    ],
    role: Annotated[
        str,
        typer.Argument(
            metavar="ROLE",
            help="Role of the game, such as market_maker or hedge_fund, open or not.",
            show_default=False,
        ),
    ],
    url: UrlOption = DEFAULT_URL,
    admin_key: KeyOption = DEFAULT_KEY,
) -> None:
    """Register a team and print its API key, this once."""
    team = _act(url, admin_key, lambda client: client.add_team(name, role))
    say(f"team     {team.team_id}\nname     {team.name}\nrole     {team.role}\nAPI key  {team.api_key}")
    _remind()


@app.command("list")
def list_teams(url: UrlOption = DEFAULT_URL, admin_key: KeyOption = DEFAULT_KEY) -> None:
    """Show every team, in the order of registration."""
    teams = _act(url, admin_key, lambda client: client.teams())
    if not teams:
        say("no teams yet")
        return
    table = Table("team", "name", "role", "registered", "state")
    for team in teams:
        name, registered = Text(team.name), Text(team.registered_at[:19].replace("T", " ") + " UTC")
        table.add_row(team.team_id, name, team.role, registered, _state(team))
    out.print(table)


@app.command()
def rotate(team: TeamArgument, url: UrlOption = DEFAULT_URL, admin_key: KeyOption = DEFAULT_KEY) -> None:
    """Give a team a new API key and print it, this once; the old one is void at once."""
    rotated = _act(url, admin_key, lambda client: client.rotate_key(team))
    say(f"team     {rotated.team_id}\nAPI key  {rotated.api_key}")
    _remind()


@app.command()
def disable(
    team: TeamArgument,
    reason: ReasonOption = "operator",
    url: UrlOption = DEFAULT_URL,
    admin_key: KeyOption = DEFAULT_KEY,
) -> None:
    """Cancel a team's orders and let it trade no more; it may still read."""
    changed = _act(url, admin_key, lambda client: client.disable_team(team, reason))
    say(f"{changed.team_id} {changed.name}: {_state(changed)}")


@app.command()
def enable(
    team: TeamArgument,
    reason: ReasonOption = "operator",
    url: UrlOption = DEFAULT_URL,
    admin_key: KeyOption = DEFAULT_KEY,
) -> None:
    """Let a disabled team trade again."""
    changed = _act(url, admin_key, lambda client: client.enable_team(team, reason))
    say(f"{changed.team_id} {changed.name}: {_state(changed)}")


def _act(url: str, key_file: Path, act: Callable[[OperatorClient], Awaitable[T]]) -> T:
    key = _read_key(key_file)
    try:
        return asyncio.run(_ask(url, key, act))
    except ConnectionLost as error:
        complain(error.message)
        fail(f"Is the server running at {url}? --url or EXCHANGE_URL says where it is.")
    except Unauthenticated:
        fail(f"{url} does not know the key in {key_file}: it takes the admin.key in its own data folder")
    except ExchangeError as error:
        hint = _HINTS.get(error.code)
        fail(f"{error.message} ({error.code})" + (f"; {hint}" if hint else ""))


async def _ask(url: str, key: str, act: Callable[[OperatorClient], Awaitable[T]]) -> T:
    async with OperatorClient(HttpTransport(url, key), retries=Retries(attempts=2)) as client:
        return await act(client)


def _read_key(path: Path) -> str:
    try:
        key = path.read_text().strip()
    except FileNotFoundError:
        fail(
            f"there is no admin key at {path}. The server makes one in its data folder when it first starts;"
            " --admin-key or EXCHANGE_ADMIN_KEY_FILE says where it is."
        )
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read the admin key {path}: {error}")
    if not key.isascii() or not key.isprintable() or not key:
        fail(f"{path} does not hold an admin key")
    return key


def _state(team: TeamView) -> str:
    return "disabled" if team.disabled else "active"


def _remind() -> None:
    errors.print("[dim]The key is told this once and kept nowhere: hand it to the team now.[/dim]")


_HINTS: Final[dict[str, str]] = {
    Code.UNKNOWN_TEAM: "`exchange team list` shows every team",
    Code.UNKNOWN_ROLE: "GET /game/rules shows every role",
}
