"""Scenarios of the book as Markdown tables: one row per command, the last columns what must come of it.

A scenario is a `##` heading, optional settings (`self-trade: none`, `band: 10 %`, `batch: X`) and a table:

| # | command | events | bids | asks |

Commands: `A buy 10 @ 100`, `A sell 5 market`, with `in Y` for the other instrument and a time in force at the
end, then terms: `post-only`, `reprice`, `show 3`, `stop 105`, `until 5`, `label a`, `prevent decrement`;
`A cancel #1`; `A amend #1 quantity 7 price 101 stop 104`; `A cancel all`, `buys`, `sells`, each also `in Y`
and `labelled a`; `disable A`, `enable A`; `expire 5`; `uncross X`; `phase halted`, also `of X` alone. Bids
and asks are those of X. Events and levels are compared as text, so that nothing is left unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from exchange.engine.book import Level
from exchange.engine.venue import Venue
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    ExpireOrders,
    NewOrder,
    OrderTerms,
    Record,
    SetPhase,
    Uncross,
)
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
    Decremented,
    DisplayChanged,
    Parked,
    PhaseChanged,
    StopsWaiting,
    Traded,
    Triggered,
    Uncrossed,
)
from exchange.model.instrument import Instrument
from exchange.model.rules import Bands, BatchAuctions, GameRules
from exchange.model.types import (
    CancelReason,
    InstrumentKind,
    OrderType,
    Phase,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

_ORDER = re.compile(
    r"(?P<account>[A-Z]) (?P<side>buy|sell) (?P<quantity>\d+)"
    r"(?: @ (?P<price>\d+)| market)(?: in (?P<instrument>\w))?(?: (?P<tif>ioc|day|fok|gtd|at_the_open))?"
    r"(?P<terms>(?: post-only| reprice| show \d+| stop \d+| until \d+| label \w+| prevent \w+)*)"
)
_TERM = re.compile(r"(post-only|reprice|show|stop|until|label|prevent)(?: (\w+))?")
_AMEND = re.compile(
    r"(?P<account>[A-Z]) amend #(?P<order>\d+)(?: quantity (?P<quantity>\d+))?(?: price (?P<price>\d+))?"
    r"(?: stop (?P<stop>\d+))?"
)
_CANCEL = re.compile(r"(?P<account>[A-Z]) cancel #(?P<order>\d+)")
_CANCEL_ALL = re.compile(r"(?P<account>[A-Z]) cancel (?P<scopes>(?:all|buys|sells).*)")
_SCOPE = re.compile(r"(?P<which>all|buys|sells)(?: in (?P<instrument>\w))?(?: labelled (?P<label>\w))?")
_SIDES = {"all": None, "buys": Side.BUY, "sells": Side.SELL}


class Row(msgspec.Struct, frozen=True):
    """One line of a table."""

    sequence: int
    command: str
    events: str
    bids: str
    asks: str


class Scenario(msgspec.Struct, frozen=True):
    """One table with its settings."""

    name: str
    settings: dict[str, str]
    rows: list[Row]

    def run(self) -> list[Row]:
        """The same table with what the venue really does."""
        venue = Venue(_rules(self.settings))
        done = []
        for row in self.rows:
            events = venue.apply(Record(row.sequence, 0, _command(row.command)))
            depth = venue.depth("X", 10)
            wording = ", ".join(_event(row.sequence, event) for event in events)
            done.append(Row(row.sequence, row.command, wording, _levels(depth.bids), _levels(depth.asks)))
        return done


def read_scenarios(path: Path) -> Iterator[Scenario]:
    """The scenarios of a Markdown file."""
    for section in re.split(r"^## ", path.read_text(), flags=re.MULTILINE)[1:]:
        name, *lines = section.splitlines()
        settings = dict(line.split(": ", 1) for line in lines if re.match(r"(self-trade|band|batch): ", line))
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
        yield Scenario(name, settings, [Row(int(row[0]), *row[1:]) for row in cells[2:]])


def _rules(settings: dict[str, str]) -> GameRules:
    band = settings.get("band")
    ppm = 0 if band is None else int(band.removesuffix(" %")) * 10_000
    return GameRules(
        preset="test",
        instruments=tuple(
            Instrument(
                instrument_id=each,
                kind=InstrumentKind.INDEX,
                tick_size="0.01",
                multiplier=100,
                first_price_ticks=100,
            )
            for each in ("X", "Y")
        ),
        roles=(),
        bands=Bands(enabled=band is not None, underlying_ppm=ppm),
        self_trade_prevention=SelfTradePrevention(settings.get("self-trade", "cancel_taker")),
        batch_auctions=BatchAuctions(interval_ms=100, instruments=tuple(settings.get("batch", ""))),
    )


def _command(text: str) -> AnyCommand:
    if found := _ORDER.fullmatch(text):
        return _order(found)
    if found := _AMEND.fullmatch(text):
        quantity, price = found["quantity"], found["price"]
        return AmendOrder(
            _account(found["account"]),
            int(found["order"]),
            "X",
            None if quantity is None else int(quantity),
            None if price is None else int(price),
            "",
            None if found["stop"] is None else int(found["stop"]),
        )
    if found := _CANCEL.fullmatch(text):
        return CancelOrder(_account(found["account"]), int(found["order"]), "X", "")
    if found := _CANCEL_ALL.fullmatch(text):
        scopes = tuple(
            CancelScope(each["instrument"], _SIDES[each["which"]], each["label"])
            for each in _SCOPE.finditer(found["scopes"])
        )
        return CancelOrders(_account(found["account"]), scopes, CancelReason.PORTFOLIO_LIMIT)
    verb, _, rest = text.partition(" ")
    if verb in ("disable", "enable"):
        return DisableTeam(_account(rest), verb == "disable", "", "")
    if verb == "uncross":
        return Uncross(rest)
    if verb == "expire":
        return ExpireOrders(int(rest))
    assert verb == "phase", text
    phase, _, instrument_id = rest.partition(" of ")
    return SetPhase(Phase(phase), "", instrument_id or None)


def _order(found: re.Match[str]) -> NewOrder:
    price = found["price"]
    terms = _terms(found["terms"])
    order_type = OrderType.MARKET if price is None else OrderType.LIMIT
    if terms is not None and terms.stop_price_ticks is not None:
        order_type = OrderType.STOP if price is None else OrderType.STOP_LIMIT
    return NewOrder(
        _account(found["account"]),
        found["instrument"] or "X",
        Side(found["side"]),
        order_type,
        None if price is None else int(price),
        int(found["quantity"]),
        TimeInForce(found["tif"] or "gtc"),
        None,
        "",
        terms,
    )


def _terms(text: str) -> OrderTerms | None:
    said = dict(_TERM.findall(text))
    if not said:
        return None
    post_only = PostOnly.REFUSE if "post-only" in said else PostOnly.REPRICE if "reprice" in said else None
    return OrderTerms(
        int(said["stop"]) if "stop" in said else None,
        post_only,
        int(said["show"]) if "show" in said else None,
        False,
        int(said["until"]) if "until" in said else None,
        said.get("label"),
        SelfTradePrevention(said["prevent"]) if "prevent" in said else None,
    )


def _account(letter: str) -> int:
    return ord(letter) - ord("A") + 1


def _letter(account: int) -> str:
    return chr(ord("A") + account - 1)


def _event(sequence: int, event: AnyVenueEvent) -> str:
    match event:
        case Acknowledged(order_id, _, _, price_ticks, quantity):
            assert order_id == sequence
            return f"ack {quantity} @ {price_ticks}"
        case Traded():
            return _trade(event)
        case Cancelled(order_id, _, _, price_ticks, remaining, reason):
            return f"cancelled #{order_id} {remaining} @ {price_ticks} {reason.value}"
        case Amended(order_id, _, _, price_ticks, quantity, remaining):
            return f"amended #{order_id} {quantity} @ {price_ticks} open {remaining}"
        case CancelRefused():
            return "cancel refused"
        case AmendRefused():
            return "amend refused, would trade" if event.would_trade else "amend refused"
        case Uncrossed():
            surplus = f" surplus {event.surplus:+}" if event.surplus else ""
            return f"uncrossed {event.quantity} @ {event.price_ticks}{surplus}"
        case _:
            return _event_of_terms(sequence, event)


def _event_of_terms(sequence: int, event: AnyVenueEvent) -> str:
    match event:
        case Parked(order_id, _, _, stop_price_ticks, quantity):
            assert order_id == sequence
            return f"parked {quantity} @ {stop_price_ticks}"
        case Triggered(order_id, _, _, price_ticks, quantity):
            return f"triggered #{order_id} {quantity} @ {price_ticks}"
        case DisplayChanged(order_id, _, _, price_ticks, quantity):
            return f"shown #{order_id} {quantity:+} @ {price_ticks}"
        case Decremented(order_id, _, _, price_ticks, by, quantity, remaining):
            return f"decremented #{order_id} by {by} to {quantity} @ {price_ticks} open {remaining}"
        case PhaseChanged(phase, _, instrument_id):
            return f"phase {phase.value}" + (f" of {instrument_id}" if instrument_id else "")
        case StopsWaiting():
            return "stops waiting"
        case _:
            raise AssertionError(event)


def _trade(event: Traded) -> str:
    traded = f"{event.quantity} @ {event.price_ticks}"
    if event.auction_id is not None:
        return f"auction {traded} of #{event.maker_order_id} and #{event.taker_order_id}"
    return f"trade {traded} with #{event.maker_order_id} of {_letter(event.maker_account)}"


def _levels(levels: tuple[Level, ...]) -> str:
    return " ".join(f"{quantity}@{price_ticks}" for price_ticks, quantity in levels)
