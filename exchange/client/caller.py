"""Sends a call the way the transport prefers, and again where that is safe."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Final

import msgspec

from exchange.client.answers import Answer, decode, decode_result
from exchange.client.calls import Call
from exchange.client.errors import (
    ConnectionLost,
    ExchangeError,
    NotUnderstood,
    Timeout,
    Unavailable,
)
from exchange.client.link import Link
from exchange.client.retries import Retries
from exchange.client.transport import Transport

_PASSING: Final = (ConnectionLost, Timeout, Unavailable)
"""What may be gone a moment later."""

_ENCODER: Final = msgspec.json.Encoder()


class Caller:
    """One exchange, one key. :meth:`once` is a single attempt, :meth:`safely` as many as the retries allow.

    ``link`` is the socket of a client; without one everything goes over HTTP.
    """

    def __init__(self, transport: Transport, link: Link | None, retries: Retries, rng: Random) -> None:
        self._transport = transport
        self._link = link if transport.prefers_socket else None
        self._rng = rng
        self.retries = retries

    @property
    def prefers_socket(self) -> bool:
        """Whether calls with a method of the socket use it."""
        return self._link is not None

    async def once(self, call: Call) -> Answer[Any]:
        """The answer to one attempt; raises ExchangeError."""
        if self._link is not None and call.socket_method is not None:
            result = await self._link.request(call.socket_method, call.params, self.retries.timeout_s)
            return decode_result(result, call.data, is_command=call.is_command)
        body = None if call.body is None else _ENCODER.encode(call.body)
        timeout_s = self.retries.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._transport.request(call.method, call.target, body)
        except TimeoutError:
            raise Timeout("NO_ANSWER", f"no answer within {timeout_s} s") from None
        return decode(answer, call.data)

    async def safely(self, call: Call) -> Any:
        """The data of a call that may be sent any number of times; raises the last error at the bound."""
        for failures in range(1, self.retries.attempts):
            try:
                return _data(await self.once(call))
            except _PASSING as error:
                await self.pause(failures, error)
        return _data(await self.once(call))

    async def only_once(self, call: Call) -> Any:
        """The data of a call that must not be repeated blindly."""
        return _data(await self.once(call))

    async def pause(self, failures: int, error: ExchangeError) -> None:
        """Wait as long as the backoff, and ``Retry-After``, want it."""
        await asyncio.sleep(self.retries.backoff.delay_s(failures, self._rng, error.retry_after_s))


def _data(answer: Answer[Any]) -> Any:
    if answer.data is None:
        raise NotUnderstood("the answer has no data", 200)
    return answer.data
