"""Orders, cancels and amends whose outcome is known in the end, although answers get lost.

An answer that leaves the outcome open (a broken connection, 504, 500, a 503 that does not say) is followed by
the same request again. An order carries the same ``client_order_id``, so that the exchange answers as it did
the first time; a cancel that is refused the second time, and an amend, are settled by reading the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose

from exchange.base.entropy import Entropy
from exchange.client import calls
from exchange.client.account import Account
from exchange.client.answers import Answer
from exchange.client.caller import Caller
from exchange.client.errors import (
    ConnectionLost,
    ExchangeError,
    NotFound,
    NotUnderstood,
    OutcomeUnknown,
    error_of,
    leaves_unknown,
    settles,
)
from exchange.client.results import OrderReceipt
from exchange.model.order import OrderStatus
from exchange.model.reasons import Code
from exchange.model.types import CancelReason
from exchange.wire.data import BatchAnswer, BatchResult, OrderResult, OrderView
from exchange.wire.ids import CLIENT_PREFIX
from exchange.wire.queries import WaitFor
from exchange.wire.requests import AmendRequest, OrderRequest


class ClientOrderIds:
    """``c`` with a random mark of this client and a counter: not repeated by another client of the team."""

    def __init__(self, entropy: Entropy) -> None:
        self._prefix = f"c{entropy.token(6).hex()}-"
        self._last = 0

    def next(self) -> str:
        """An id no order had before."""
        self._last += 1
        return f"{self._prefix}{self._last}"


class OrderEntry:
    """Every method raises OutcomeUnknown when ``attempts`` requests in a row left the outcome open."""

    def __init__(self, caller: Caller, account: Account) -> None:
        self._caller = caller
        self._account = account

    async def place(self, request: OrderRequest, client_order_id: str, call: calls.Call) -> OrderReceipt:
        """Send ``call``, which enters ``request``, which carries ``client_order_id``."""
        account = self._account
        account.sending(request)
        try:
            receipt = await self._place(call, client_order_id)
        except BaseException:
            account.refused(client_order_id)
            raise
        account.accepted(client_order_id, receipt.order_id, receipt.status)
        return receipt

    async def place_batch(
        self, requests: Sequence[OrderRequest], wait: WaitFor
    ) -> list[OrderReceipt | ExchangeError]:
        """Send ``requests``, which carry client_order_ids, in one; what each came to, in their order."""
        for request in requests:
            self._account.sending(request)
        outcomes: list[OrderReceipt | ExchangeError] = []
        attempt = _Attempts(self._caller, f"a batch of {len(requests)} orders")
        try:
            answers = await self._send_batch(requests, wait, attempt)
            for request, answer in zip(requests, answers, strict=True):
                outcomes.append(await self._batch_outcome(request, answer, wait, attempt.is_open))
        finally:
            for request in requests[len(outcomes) :]:
                self._account.refused(request.client_order_id or "")
        return outcomes

    async def _send_batch(
        self, requests: Sequence[OrderRequest], wait: WaitFor, attempt: _Attempts
    ) -> list[BatchAnswer]:
        while True:
            try:
                answer: Answer[BatchResult] = await self._caller.once(calls.new_batch(requests, wait))
            except ExchangeError as error:
                await attempt.failed(error)
                continue
            if answer.data is None:
                raise NotUnderstood("the answer has no data", 200)
            return answer.data.answers

    async def _batch_outcome(
        self, request: OrderRequest, answer: BatchAnswer, wait: WaitFor, is_open: bool
    ) -> OrderReceipt | ExchangeError:
        client_order_id = request.client_order_id or ""
        error = None if answer.error is None else error_of(answer.status, answer.error)
        try:
            if error is None:
                receipt = _receipt_of(answer, client_order_id)
            elif leaves_unknown(error) or (is_open and not settles(error)):
                receipt = await self._place(calls.new_order(request, wait), client_order_id)
            else:
                raise error
        except ExchangeError as final:
            self._account.refused(client_order_id)
            return final
        self._account.accepted(client_order_id, receipt.order_id, receipt.status)
        return receipt

    async def cancel(self, order_id: str) -> OrderReceipt:
        """Cancel one order."""
        attempt = _Attempts(self._caller, f"the cancel of {order_id}")
        while True:
            try:
                return _receipt(await self._caller.once(calls.cancel_order(order_id)))
            except ExchangeError as error:
                if attempt.is_open and error.code == Code.CANCEL_FAILED:
                    return await self._cancelled(order_id, error)
                await attempt.failed(error)

    async def amend(self, order_id: str, request: AmendRequest) -> OrderReceipt:
        """Change one order."""
        attempt = _Attempts(self._caller, f"the amend of {order_id}")
        while True:
            try:
                return _receipt(await self._caller.once(calls.amend_order(order_id, request)))
            except ExchangeError as error:
                await attempt.failed(error)
                if attempt.is_open:
                    # A second amend like the first would cost the order its place.
                    receipt = await self._amended(order_id, request)
                    if receipt is not None:
                        return receipt

    async def view(self, order_id: str) -> OrderView:
        """One order as it stands."""
        view: OrderView = await self._caller.safely(calls.get_order(order_id))
        return view

    async def _place(self, call: calls.Call, client_order_id: str) -> OrderReceipt:
        attempt = _Attempts(self._caller, f"order {CLIENT_PREFIX}{client_order_id}")
        while True:
            try:
                return _receipt(await self._caller.once(call), client_order_id)
            except ExchangeError as error:
                if settles(error):
                    raise
                await attempt.failed(error)

    async def _cancelled(self, order_id: str, refusal: ExchangeError) -> OrderReceipt:
        view = await self.view(order_id)
        if view.status is OrderStatus.CANCELLED and view.cancel_reason is CancelReason.REQUESTED:
            return _found(view)
        raise refusal

    async def _amended(self, order_id: str, request: AmendRequest) -> OrderReceipt | None:
        view = await self.view(order_id)
        if view.status is OrderStatus.CANCELLED:
            if view.cancel_reason is CancelReason.AMENDED_BELOW_FILLED:
                return _found(view)
        elif _has(view, request):
            return _found(view)
        if view.status.is_final:
            raise NotFound(Code.AMEND_FAILED, "No open order of yours has this id", status=404)
        return None


class _Attempts:
    """Counts what was tried of one command. ``is_open``: some attempt may have taken effect."""

    def __init__(self, caller: Caller, name: str) -> None:
        self._caller = caller
        self._name = name
        self._count = 0
        self.is_open = False

    async def failed(self, error: ExchangeError) -> None:
        """Wait before the next attempt, or raise: a definite answer, or the bound was reached."""
        self._count += 1
        self.is_open = self.is_open or leaves_unknown(error)
        if not self.is_open and not isinstance(error, ConnectionLost):
            raise error
        if self._count >= self._caller.retries.attempts:
            raise OutcomeUnknown(self._name, self._count, error) if self.is_open else error
        await self._caller.pause(self._count, error)


def _receipt(answer: Answer[OrderResult], client_order_id: str | None = None) -> OrderReceipt:
    state = answer.data
    return OrderReceipt(
        order_id=answer.order_id or "",
        timestamp=answer.timestamp,
        client_order_id=client_order_id if state is None else state.client_order_id or client_order_id,
        request_id=answer.request_id,
        state=state if state is not None and state.status is not None else None,
        resent=state is not None and state.duplicate,
    )


def _receipt_of(answer: BatchAnswer, client_order_id: str) -> OrderReceipt:
    return _receipt(
        Answer(answer.timestamp, answer.order_id, answer.data, answer.request_id), client_order_id
    )


def _found(view: OrderView) -> OrderReceipt:
    state = OrderResult(
        client_order_id=view.client_order_id,
        status=view.status,
        quantity=view.quantity,
        price=view.price,
        filled_quantity=view.filled_quantity,
        remaining_quantity=view.remaining_quantity,
        average_price=view.average_price,
        fees=view.fees,
    )
    return OrderReceipt(
        order_id=view.order_id,
        timestamp=view.timestamp,
        client_order_id=view.client_order_id,
        state=state,
        resent=True,
    )


def _has(view: OrderView, request: AmendRequest) -> bool:
    if request.quantity is not None and view.quantity != request.quantity:
        return False
    return _is_price(view.price, request.price) and _is_price(view.stop_price, request.stop_price)


def _is_price(price: float | None, wanted: float | None) -> bool:
    return wanted is None or (price is not None and isclose(price, wanted))
