"""Orders, cancels and amends are done once, whatever becomes of requests and answers."""

import pytest

from exchange.client import NotFound, OutcomeUnknown, RateLimited, Rejected, ServerFailed, Unavailable
from tests.unit.client.fake_exchange import (
    ANSWER_LOST,
    LOST_ON_THE_WAY,
    FakeExchange,
    Fault,
    fake_client,
)

TRANSPORTS = pytest.mark.parametrize("over_socket", [False, True], ids=["http", "socket"])
OPEN_OUTCOMES = [
    LOST_ON_THE_WAY,
    ANSWER_LOST,
    Fault(handled=True, status=504, code="RESPONSE_TIMEOUT", details={"accepted": True}),
    Fault(handled=False, status=504, code="RESPONSE_TIMEOUT", details={"accepted": False}),
    Fault(handled=False, status=503, code="JOURNAL_FAILED"),
    Fault(handled=True, status=503, code="HTTP_503"),
    Fault(handled=True, status=500, code="INTERNAL_ERROR"),
    Fault(handled=True, status=502, code="HTTP_502"),
]
NAMES = [f"{fault.code}-{fault.status}-{'in' if fault.handled else 'out'}" for fault in OPEN_OUTCOMES]


@TRANSPORTS
@pytest.mark.parametrize("fault", OPEN_OUTCOMES, ids=NAMES)
async def test_order_is_entered_once_after_an_open_outcome(fault: Fault, over_socket: bool) -> None:
    """What leaves the outcome open is followed by the same order with the same client_order_id."""
    exchange = FakeExchange()
    exchange.faults.append(fault)
    async with fake_client(exchange, over_socket=over_socket) as client:
        receipt = await client.buy("SPX", 5, price=100.0)
    assert exchange.calls == ["order.new", "order.new"]
    assert list(exchange.orders) == [receipt.client_order_id]
    assert receipt.order_id == "ORD_1"
    assert receipt.resent is fault.handled


@TRANSPORTS
async def test_order_whose_answers_are_all_lost_is_of_unknown_outcome(over_socket: bool) -> None:
    """At the bound the caller learns that the order may be in, and under which id."""
    exchange = FakeExchange()
    exchange.faults.extend([ANSWER_LOST] * 3)
    async with fake_client(exchange, over_socket=over_socket, attempts=3) as client:
        with pytest.raises(OutcomeUnknown) as raised:
            await client.buy("SPX", 5, price=100.0, client_order_id="mine")
        assert (raised.value.name, raised.value.attempts) == ("order client:mine", 3)
        assert (await client.get_order(client_order_id="mine")).order_id == "ORD_1"


@TRANSPORTS
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "PRICE_OUT_OF_BAND", Rejected),
        (404, "UNKNOWN_INSTRUMENT", NotFound),
        (409, "MARKET_CLOSED", Rejected),
        (429, "ORDER_RATE_EXCEEDED", RateLimited),
        (503, "OVERLOADED", Unavailable),
        (503, "VENUE_HALTED", Unavailable),
        (503, "SHUTTING_DOWN", Unavailable),
    ],
)
async def test_definite_refusal_is_raised_at_once(
    status: int, code: str, kind: type[Exception], over_socket: bool
) -> None:
    """A refusal that says that nothing happened is for the caller to judge, not to try again."""
    exchange = FakeExchange()
    exchange.faults.append(Fault(handled=False, status=status, code=code))
    async with fake_client(exchange, over_socket=over_socket) as client:
        with pytest.raises(kind, match=code):
            await client.sell("SPX", 5)
    assert exchange.calls == ["order.new"]


async def test_refusal_of_a_resend_means_it_never_was_in() -> None:
    """The exchange looks for a resend first, so a rule that refuses it says that it was not known."""
    exchange = FakeExchange()
    exchange.faults.extend([LOST_ON_THE_WAY, Fault(handled=False, status=400, code="PRICE_OUT_OF_BAND")])
    async with fake_client(exchange) as client:
        with pytest.raises(Rejected, match="PRICE_OUT_OF_BAND"):
            await client.buy("SPX", 5, price=100.0)


async def test_overload_of_a_resend_leaves_the_outcome_open() -> None:
    """Who is turned away before the order was looked for has learnt nothing about it."""
    exchange = FakeExchange()
    exchange.faults.extend(
        [
            ANSWER_LOST,
            Fault(False, 503, "OVERLOADED"),
            Fault(False, 429, "TOO_MANY_IN_FLIGHT"),
            Fault(False, 429, "RATE_LIMITED"),
        ]
    )
    async with fake_client(exchange) as client:
        receipt = await client.buy("SPX", 5, price=100.0)
    assert len(exchange.calls) == 5
    assert receipt.resent


async def test_last_error_is_raised_when_nothing_was_ever_sent() -> None:
    """An exchange that cannot be reached leaves no doubt about the order."""
    exchange = FakeExchange()
    client = fake_client(exchange, over_socket=True, attempts=2, timeout_s=0.05)
    exchange.key_is_known = False
    with pytest.raises(Rejected):
        await client.buy("SPX", 5, price=100.0)
    await client.close()
    assert exchange.orders == {}


@TRANSPORTS
@pytest.mark.parametrize("fault", [ANSWER_LOST, LOST_ON_THE_WAY, Fault(True, 500)], ids=str)
async def test_cancel_succeeds_when_its_first_answer_was_lost(fault: Fault, over_socket: bool) -> None:
    """A cancel that is refused the second time is settled by reading the order."""
    exchange = FakeExchange()
    async with fake_client(exchange, over_socket=over_socket) as client:
        placed = await client.buy("SPX", 5, price=100.0)
        exchange.faults.append(fault)
        receipt = await client.cancel(placed.order_id)
    assert exchange.orders[receipt.client_order_id or ""]["status"] == "cancelled"
    assert receipt.order_id == placed.order_id
    assert receipt.status is not None
    assert receipt.status.value == "cancelled"


async def test_cancel_of_an_order_that_was_filled_meanwhile_fails() -> None:
    """When the first attempt was lost and the order is filled, the cancel did not work."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        placed = await client.buy("SPX", 5, price=100.0, client_order_id="mine")
        exchange.orders["mine"]["status"] = "filled"
        exchange.faults.append(LOST_ON_THE_WAY)
        with pytest.raises(NotFound, match="CANCEL_FAILED"):
            await client.cancel(placed.order_id)


async def test_second_cancel_of_the_caller_fails() -> None:
    """Only an attempt of this very call counts as the cancel that worked."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        placed = await client.buy("SPX", 5, price=100.0)
        await client.cancel(placed.order_id)
        with pytest.raises(NotFound, match="CANCEL_FAILED"):
            await client.cancel(placed.order_id)
    assert "order.get" not in exchange.calls


@TRANSPORTS
async def test_amend_is_not_sent_again_when_it_took_effect(over_socket: bool) -> None:
    """A second amend would cost the order its place, so the order is read first."""
    exchange = FakeExchange()
    async with fake_client(exchange, over_socket=over_socket) as client:
        placed = await client.buy("SPX", 5, price=100.0, client_order_id="mine")
        exchange.faults.append(ANSWER_LOST)
        receipt = await client.amend(placed.order_id, quantity=3, price=101.0)
    assert exchange.orders["mine"]["amends"] == 1
    assert receipt.resent
    assert receipt.state is not None
    assert (receipt.state.quantity, receipt.state.price) == (3, 101.0)


@TRANSPORTS
async def test_amend_is_sent_again_when_it_was_lost(over_socket: bool) -> None:
    """An order that is as before is amended by the second attempt."""
    exchange = FakeExchange()
    async with fake_client(exchange, over_socket=over_socket) as client:
        placed = await client.buy("SPX", 5, price=100.0, client_order_id="mine")
        exchange.faults.append(LOST_ON_THE_WAY)
        await client.amend(client_order_id="mine", price=102.0)
    assert exchange.orders["mine"]["price"] == 102.0
    assert exchange.orders["mine"]["amends"] == 1
    assert placed.order_id == "ORD_1"


async def test_amend_of_an_order_that_ended_meanwhile_fails() -> None:
    """After a lost attempt an order that has ended without the amend is AMEND_FAILED."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        placed = await client.buy("SPX", 5, price=100.0, client_order_id="mine")
        exchange.orders["mine"] |= {"status": "cancelled", "cancel_reason": "market_close"}
        exchange.faults.append(LOST_ON_THE_WAY)
        with pytest.raises(NotFound, match="AMEND_FAILED"):
            await client.amend(placed.order_id, quantity=3)


async def test_amend_below_filled_that_cancelled_the_order_worked() -> None:
    """The amend itself may have ended the order: that is not a failure."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        placed = await client.buy("SPX", 5, price=100.0, client_order_id="mine")
        exchange.orders["mine"] |= {"status": "cancelled", "cancel_reason": "amended_below_filled"}
        exchange.faults.append(LOST_ON_THE_WAY)
        receipt = await client.amend(placed.order_id, quantity=1)
    assert receipt.status is not None
    assert receipt.status.value == "cancelled"


async def test_client_order_ids_differ_between_orders_and_clients() -> None:
    """An id is made of a random mark and a counter, and fits the exchange's pattern."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        names = {(await client.buy("SPX", 1, price=1.0)).client_order_id for _ in range(3)}
    assert len(names) == 3
    assert all(name is not None and len(name) <= 36 for name in names)


async def test_server_fault_that_stays_is_told_with_its_code() -> None:
    """A fault that every attempt meets is an unknown outcome that names it."""
    exchange = FakeExchange()
    exchange.faults.extend([Fault(False, 500, "INTERNAL_ERROR")] * 5)
    async with fake_client(exchange) as client:
        with pytest.raises(OutcomeUnknown) as raised:
            await client.buy("SPX", 1, price=1.0)
    assert raised.value.code == "INTERNAL_ERROR"
    assert not isinstance(raised.value, ServerFailed)
