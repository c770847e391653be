"""One HTTP connection: who may open it, how long it may be silent, how it ends."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Transport
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from exchange.api.transport import refusals
from exchange.api.transport.deadline import Deadline
from exchange.api.transport.refusals import ProtocolRefusal
from exchange.api.transport.request_parts import RequestParts
from exchange.api.transport.request_reader import BODY, NOTHING, UPGRADED, ProtocolSettings
from exchange.api.transport.response_cycle import ResponseCycle
from exchange.base.eager_task import EagerTask


def make_http_protocol(given: ProtocolSettings) -> type[HttpProtocol]:
    """The class for ``uvicorn.Config(http=...)``."""

    class BoundHttpProtocol(HttpProtocol):
        settings = given

    return BoundHttpProtocol


class HttpProtocol(RequestParts):
    """Adds to uvicorn's protocol places per address, deadlines, and refusals in the envelope.

    A refusal is answered in its turn, after the requests before it. The connection then stops sending and
    drops what still arrives, so that the client reads the refusal rather than a reset.
    """

    __slots__ = (
        "_admitted",
        "_admitted_as_refused",
        "_counter",
        "_discarded_bytes",
        "_lingering",
        "_write_deadline",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._counter = self.settings.counter
        self._write_deadline = Deadline(self.loop, self._reset)
        self._admitted = False
        self._admitted_as_refused = False
        self._lingering = False
        self._discarded_bytes = 0

    # --- from the transport ----------------------------------------------------------------------------

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn itself
        super().connection_made(transport)
        self._admitted = self._counter.admit(self._address())
        if self._admitted:
            self.deadline.set(self.limits.head_timeout_s)
        elif self._counter.admit_refused():
            self._admitted_as_refused = True
            self.refuse(refusals.TOO_MANY_CONNECTIONS)
        else:
            self._counter.refused(refusals.TOO_MANY_CONNECTIONS.code)
            self.refusal = refusals.TOO_MANY_CONNECTIONS
            transport.abort()

    def eof_received(self) -> bool | None:  # type: ignore[override]  # uvicorn narrows asyncio's type to None
        # A client that has said all it will still gets its answers.
        if self.active is None or self.owed != NOTHING or self.held:
            return None
        self.cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.deadline.cancel()
        self._write_deadline.cancel()
        if self._admitted:
            self._counter.release(self._address())
        if self._admitted_as_refused:
            self._counter.release_refused()
        if self.active is not None or self.pipeline or self.held:
            self._counter.client_gone()
        self._withdraw_active()
        self.pipeline.clear()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline.set(self.limits.write_timeout_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_deadline.clear()

    # --- from the server -------------------------------------------------------------------------------

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self.deadline.set(self.limits.close_timeout_s)

    def handle_websocket_upgrade(self) -> None:
        if self.active is not None or self.held:
            self.refuse(refusals.BAD_HTTP_REQUEST)
            return
        # The WebSocket protocol takes over transport and place at the counter, and gives both back.
        self.deadline.cancel()
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        assert isinstance(cycle, ResponseCycle)
        self.active = cycle
        self.due = app

    def begin(self) -> None:
        app, self.due = self.due, None
        cycle = self.active
        if app is None or cycle is None:
            return
        direct = self.settings.direct
        if direct is None or cycle.more_body or app is not self.app:
            EagerTask(cycle.run_asgi(app), self.tasks, self._failed)
        else:
            EagerTask(direct(cycle), self.tasks, self._failed)

    def _failed(self, error: Exception) -> None:
        self.logger.error("Exception in an answer\n", exc_info=error)
        cycle = self.active
        if cycle is None or cycle.response_started:
            self.transport.close()
        else:
            EagerTask(cycle.send_500_response(), self.tasks, self._given_up)

    def _given_up(self, error: Exception) -> None:
        self.logger.error("Exception in an answer\n", exc_info=error)
        self.transport.close()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.active = None
        if self.transport.is_closing():
            self.deadline.set(self.limits.close_timeout_s)
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            if self.held:
                self.take_held()
            self.loop.call_soon(self.begin)
        elif self.refusal is not None:
            self._send_refusal(self.refusal)
        else:
            self._wait_for_request()

    def _wait_for_request(self) -> None:
        if self.held:
            self.take_held()
        if self.due is not None:
            # A turn of the loop for each request, or one client could take up a turn with thousands.
            self.loop.call_soon(self.begin)
        if self.held or self.refusal is not None or self.owed == UPGRADED:
            return
        self.flow.resume_reading()
        if self.owed == NOTHING and self.active is None:
            self.deadline.set(self.timeout_keep_alive)

    # --- for the reader --------------------------------------------------------------------------------

    def part_begun(self) -> None:
        if self.owed == BODY:
            self.deadline.set(self.limits.body_timeout_s)
        elif self.cycle is not None:
            # The first head is due from the opening of the connection.
            self.deadline.set(self.limits.head_timeout_s)

    def discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > self.limits.max_discarded_bytes:
            self.transport.abort()

    def refuse(self, refusal: ProtocolRefusal) -> None:
        self._counter.refused(refusal.code)
        self.refusal = refusal
        in_body = self.owed == BODY
        self.owed = NOTHING
        self.held = b""
        self.deadline.clear()
        if in_body and not self._take_back():
            self._linger()
        elif self.active is not None:
            self.flow.pause_reading()
        else:
            self._send_refusal(refusal)

    # --- how it ends -----------------------------------------------------------------------------------

    def _take_back(self) -> bool:
        """Undo the request whose body is refused; False when its answer has already begun."""
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
            return True
        unanswered = not self.cycle.response_started
        self._withdraw_active()
        return unanswered

    def _withdraw_active(self) -> None:
        if self.active is not None:
            self.active.disconnected = True
            self.active.message_event.set()
            self.active = self.due = None

    def _send_refusal(self, refusal: ProtocolRefusal) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.settings.envelopes.response(refusal, self.server_state.default_headers))
            self._linger()

    def _linger(self) -> None:
        self._lingering = True
        self.deadline.set(self.limits.close_timeout_s)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
        else:
            self.transport.close()

    def deadline_passed(self) -> None:
        if self._lingering or self.transport.is_closing():
            self.transport.abort()
        elif self.flow.read_paused:
            # The client can't go on while the server does not read.
            self.part_begun()
        elif self.owed != NOTHING:
            self.refuse(refusals.REQUEST_TIMEOUT)
        else:
            self.transport.close()
            self.deadline.set(self.limits.close_timeout_s)

    def _reset(self) -> None:
        self.transport.abort()

    def _address(self) -> str | None:
        return None if self.client is None else self.client[0]
