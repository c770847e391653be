"""What a call raises when the exchange says no, or says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from exchange.model.reasons import Code
from exchange.wire.envelope import ApiError

NO_ANSWER: Final = "NO_ANSWER"
"""Code of what the SDK itself reports: the exchange was not reached or did not answer."""


class ExchangeError(Exception):
    """Base of everything a call raises. ``status`` is the HTTP status, 0 where no answer came.

    ``order_id`` is set where an order was accepted although its request failed.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 0,
        details: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        order_id: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.details: Mapping[str, Any] = details or {}
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.order_id = order_id

    @property
    def accepted(self) -> bool | None:
        """Whether the exchange took the command all the same; None where nobody can know."""
        accepted = self.details.get("accepted")
        return accepted if isinstance(accepted, bool) else None


class Rejected(ExchangeError):
    """A definite no (any other 4xx): ``code`` says which rule, ``details`` its figures."""


class Unauthenticated(Rejected):
    """401: no API key, or one that is not known (any more)."""


class Forbidden(Rejected):
    """403: the key, the team or its role may not do this."""


class NotFound(Rejected):
    """404: no such thing, or no open order of yours (CANCEL_FAILED, AMEND_FAILED)."""


class RateLimited(Rejected):
    """429: too fast. Nothing happened; ``retry_after_s`` says when to try again."""


class ServerFailed(ExchangeError):
    """500: a fault of the exchange."""


class Unavailable(ExchangeError):
    """503: overloaded, halted by failure, starting or stopping."""


class Timeout(ExchangeError):
    """504, or no answer within the client's own timeout (status 0)."""


class ConnectionLost(ExchangeError):
    """No answer: not connected, or the connection broke. ``sent`` is false where nothing was sent."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(NO_ANSWER, message)
        self.sent = sent


class HistoryLimited(ExchangeError):
    """Rows that were asked for may no longer be kept: ``details`` has ``kept_after`` and ``kept_from``."""


class OutcomeUnknown(ExchangeError):
    """The bound of resending was reached: the command may or may not have taken effect.

    Ask later with ``get_order`` and the same id, or send the order again with the same ``client_order_id``.
    """

    def __init__(self, name: str, attempts: int, last: ExchangeError) -> None:
        super().__init__(
            last.code,
            f"fate of {name} unknown after {attempts} attempts: {last.message}",
            status=last.status,
            details=last.details,
            retry_after_s=last.retry_after_s,
            request_id=last.request_id,
            order_id=last.order_id,
        )
        self.name = name
        self.attempts = attempts


class NotUnderstood(ExchangeError):
    """The answer is not one of this exchange: a proxy's page, another version, or cut off."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__("NOT_UNDERSTOOD", message, status=status)


_BY_STATUS: Final[Mapping[int, type[ExchangeError]]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    429: RateLimited,
    503: Unavailable,
    504: Timeout,
}

_NOT_TAKEN: Final = frozenset(
    (
        Code.OVERLOADED,
        Code.TOO_MANY_IN_FLIGHT,
        Code.TOO_MANY_CONNECTIONS,
        Code.SHUTTING_DOWN,
        Code.VENUE_HALTED,
    )
)
"""503s that say what became of the command: it was turned away before it could take effect."""


def error_of(
    status: int,
    error: ApiError,
    *,
    retry_after_s: float | None = None,
    request_id: str | None = None,
    order_id: str | None = None,
) -> ExchangeError:
    """The exception for an answer with ``error``."""
    kind = _BY_STATUS.get(status) or (Rejected if 400 <= status < 500 else ServerFailed)
    if error.retry_after_ms is not None:
        retry_after_s = error.retry_after_ms / 1000
    return kind(
        error.code,
        error.message,
        status=status,
        details=error.details,
        retry_after_s=retry_after_s,
        request_id=request_id,
        order_id=order_id,
    )


def leaves_unknown(error: ExchangeError) -> bool:
    """Whether the command may have taken effect although this came back."""
    if isinstance(error, ConnectionLost):
        return error.sent
    if isinstance(error, Unavailable):
        return error.code not in _NOT_TAKEN
    return isinstance(error, ServerFailed | Timeout | NotUnderstood)


def settles(error: ExchangeError) -> bool:
    """Whether this answer to a resend shows that the exchange does not know the order.

    Resends are recognised before any rule is checked, so a refusal by a rule means "never seen". Who was
    turned away before that has learnt nothing.
    """
    if error.code in (Code.TOO_MANY_IN_FLIGHT, Code.RATE_LIMITED):
        return False
    return error.status in (400, 404, 409, 429) or error.code == Code.TEAM_DISABLED
