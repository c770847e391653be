"""From parsed HTTP/1.1 to a running application: uvicorn's parser callbacks, bounded and lighter."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any, Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from exchange.api.transport import refusals
from exchange.api.transport.request_reader import BODY, HEAD, NOTHING, Refused, RequestReader
from exchange.api.transport.response_cycle import ResponseCycle, Wake

_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class RequestParts(RequestReader):
    """What the parser calls for each part of a request; raises Refused where a bound is passed."""

    __slots__ = ()

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.owed = HEAD
        self._part_bytes = -1
        self._content_length = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.max_target_bytes:
            raise Refused(refusals.URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length" and self.owed == HEAD:
            self._content_length = int(value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._part_bytes >= 0:
            self._check_head_size()
        if len(self.headers) > self.limits.max_headers:
            raise Refused(refusals.HEADERS_TOO_LARGE)
        if self._content_length > self.limits.max_body_bytes:
            raise Refused(refusals.BODY_TOO_LARGE)
        parser = self.parser
        version = parser.get_http_version()
        scope = self._make_scope(version)
        self.owed = BODY
        self._part_bytes = -1
        self._body_bytes = 0
        if parser.should_upgrade() and self._should_upgrade():
            self._upgrading = True
            return
        # Trailers go elsewhere: among the headers they could pass for what the head did not say.
        self.headers = []
        cycle = self.cycle = ResponseCycle(
            scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            False,
            self.server_state.default_headers,
            Wake(),  # type: ignore[arg-type]  # what of an Event is used
            self.expect_100_continue,
            version != "1.0" and parser.should_keep_alive(),
            self.on_response_complete,
        )
        cycle.envelopes = self.settings.envelopes
        limit = self.limit_concurrency
        app = self.app if limit is None else self._app_within_concurrency(limit)
        if self.active is not None:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        else:
            self._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.max_body_bytes:
            raise Refused(refusals.BODY_TOO_LARGE)
        cycle = self.cycle
        if self._upgrading or cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self.owed = NOTHING
        if self._upgrading:
            return
        cycle = self.cycle
        if cycle.response_complete:
            self.deadline.set(self.timeout_keep_alive)
        else:
            self.deadline.clear()
            cycle.more_body = False
            cycle.message_event.set()

    def _make_scope(self, version: str) -> Any:
        target = self.url
        if not target.startswith(b"/") or b"#" in target:
            target = _origin_form(target)
        raw_path, _, query = target.partition(b"?")
        path = raw_path.decode("ascii")
        if "%" in path:
            path = urllib.parse.unquote(path)
        scope: Any = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": self.parser.get_method().decode("ascii"),
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
        }
        if self.root_path:
            scope["path"] = self.root_path + path
            scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        self.scope = scope
        return scope

    def _check_head_size(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.limits.max_header_bytes:
            raise Refused(refusals.HEADERS_TOO_LARGE)

    def _app_within_concurrency(self, limit: int) -> ASGI3Application:
        if len(self.connections) >= limit or len(self.tasks) >= limit:
            return self._overloaded
        app: ASGI3Application = self.app
        return app

    async def _overloaded(self, scope: Any, receive: Any, send: Any) -> None:
        body = self.settings.envelopes.body(refusals.OVERLOADED)
        headers = self.settings.envelopes.headers(refusals.OVERLOADED, len(body))
        await send({"type": "http.response.start", "status": refusals.OVERLOADED.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _origin_form(target: bytes) -> bytes:
    """Path and query of a request target of RFC 9112 section 3.2; raises Refused for what is none."""
    if not target.startswith(b"/") and target != b"*":
        origin = _ABSOLUTE.match(target)
        if origin is None:
            raise Refused(refusals.BAD_HTTP_REQUEST)
        target = target[origin.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    return target.partition(b"#")[0]
