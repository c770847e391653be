"""One open socket: requests and their answers, and the events between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from exchange.base.bounds import MAX_IN_FLIGHT_PER_CONNECTION
from exchange.client.errors import ConnectionLost, ExchangeError, NotUnderstood, Timeout, error_of
from exchange.client.transport import Socket
from exchange.wire.envelope import ApiError
from exchange.wire.events import Hello


class Head(msgspec.Struct, frozen=True, gc=False):
    """What says where a message belongs; answers have no ``type``."""

    type: str | None = None
    channel: str | None = None
    seq: int = 0
    prev_seq: int | None = None


class _Request(msgspec.Struct, frozen=True, gc=False):
    id: str
    method: str
    params: Any


class _Answer(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: ApiError | None = None
    status: int = 200
    order_id: str | None = None


_ENCODER: Final = msgspec.json.Encoder()
_HEAD: Final = msgspec.json.Decoder(Head)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_HELLO: Final = msgspec.json.Decoder(Hello)

EventHandler = Callable[[Head, bytes], None]
ResultHandler = Callable[[msgspec.Raw], None]


class _Waiter(NamedTuple):
    future: asyncio.Future[_Answer]
    at_once: ResultHandler | None


class Connection:
    """At most 64 requests are under way, as the exchange allows; one more waits for a place.

    ``mark`` sets the ids of this socket's requests apart from those of others of the team.
    ``received`` counts messages, so that silence can be told from a quiet market.
    """

    def __init__(self, socket: Socket, on_event: EventHandler, mark: str) -> None:
        self._socket = socket
        self._on_event = on_event
        self._places = asyncio.Semaphore(MAX_IN_FLIGHT_PER_CONNECTION)
        self._mark = mark
        self._waiting: dict[str, _Waiter] = {}
        self._last_id = 0
        self._lost: ExchangeError | None = None
        self.received = 0

    async def hello(self) -> Hello:
        """The first message of every socket; raises NotUnderstood for anything else."""
        message = await self._socket.receive()
        try:
            return _HELLO.decode(message)
        except msgspec.MsgspecError as error:
            raise NotUnderstood(f"no hello: {error}", 0) from error

    async def read(self) -> None:
        """Take in messages until the socket ends; raises what ended it."""
        receive = self._socket.receive
        while True:
            message = await receive()
            self.received += 1
            try:
                head = _HEAD.decode(message)
                if head.type is None:
                    self._take_answer(_ANSWER.decode(message))
                else:
                    self._on_event(head, message)
            except msgspec.MsgspecError as error:
                raise NotUnderstood(f"not a message of this exchange: {error}", 0) from error

    async def request(
        self, method: str, params: Any, timeout_s: float, at_once: ResultHandler | None = None
    ) -> msgspec.Raw:
        """The result of ``method``; raises ExchangeError: the exchange's own, Timeout or ConnectionLost.

        ``at_once`` is given a result before the next message is looked at.
        """
        async with self._places:
            if self._lost is not None:
                raise ConnectionLost(str(self._lost), sent=False)
            self._last_id += 1
            name = f"{self._mark}-{self._last_id}"
            future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
            self._waiting[name] = _Waiter(future, at_once)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._socket.send(_ENCODER.encode(_Request(name, method, params)))
                    answer = await future
            except TimeoutError:
                raise Timeout("NO_ANSWER", f"no answer to {method} within {timeout_s} s") from None
            finally:
                del self._waiting[name]
        if answer.error is not None:
            raise error_of(answer.status, answer.error, order_id=answer.order_id)
        return answer.result

    def lose(self, error: ExchangeError) -> None:
        """The socket is gone: nobody who waits will get an answer."""
        self._lost = error
        for waiter in self._waiting.values():
            if not waiter.future.done():
                waiter.future.set_exception(ConnectionLost(str(error), sent=True))

    async def close(self) -> None:
        """End the socket."""
        await self._socket.close()

    def _take_answer(self, answer: _Answer) -> None:
        # One that nobody waits for any more came too late; one without id says that a request was unreadable.
        if answer.id is None:
            raise NotUnderstood(f"the exchange could not read a request: {answer.error}", answer.status)
        waiter = self._waiting.get(answer.id)
        if waiter is None or waiter.future.done():
            return
        if waiter.at_once is not None and answer.error is None:
            waiter.at_once(answer.result)
        waiter.future.set_result(answer)
