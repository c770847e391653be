"""The SDK: an asyncio client of the exchange, over HTTP, over one WebSocket, or in the same process."""

from exchange.client.account import Account, OpenOrder
from exchange.client.admin import OperatorClient, register
from exchange.client.errors import (
    ConnectionLost,
    ExchangeError,
    Forbidden,
    HistoryLimited,
    NotFound,
    NotUnderstood,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFailed,
    Timeout,
    Unauthenticated,
    Unavailable,
)
from exchange.client.event_stream import EventStream
from exchange.client.events import ClientEvent, Disconnected, Reconnected, ServerStopping, StreamReset
from exchange.client.exchange_client import ExchangeClient
from exchange.client.http import HttpTransport, WebSocketTransport
from exchange.client.in_process import InProcessTransport
from exchange.client.link import LinkSettings
from exchange.client.order_book import Level, OrderBook
from exchange.client.quotes import PriceAndQuantity
from exchange.client.results import OrderReceipt, QuoteReceipt
from exchange.client.retries import Backoff, Retries
from exchange.client.transport import Transport
from exchange.model.order import OrderStatus
from exchange.model.types import OrderType, Phase, PostOnly, SelfTradePrevention, Side, TimeInForce
from exchange.wire.data import OrderView, ProtectionView
from exchange.wire.events import (
    BookSnapshot,
    BookUpdate,
    ExecutionReport,
    NewOrderAck,
    OrderAmended,
    OrderCancelled,
    OrderTriggered,
    PhaseChange,
    PositionSnapshot,
    PositionUpdate,
    TradeEvent,
)
from exchange.wire.ids import DEFAULT_GROUP
from exchange.wire.queries import OrderFilter, WaitFor
from exchange.wire.requests import OrderRequest, QuoteRequest

__all__ = [
    "DEFAULT_GROUP",
    "Account",
    "Backoff",
    "BookSnapshot",
    "BookUpdate",
    "ClientEvent",
    "ConnectionLost",
    "Disconnected",
    "EventStream",
    "ExchangeClient",
    "ExchangeError",
    "ExecutionReport",
    "Forbidden",
    "HistoryLimited",
    "HttpTransport",
    "InProcessTransport",
    "Level",
    "LinkSettings",
    "NewOrderAck",
    "NotFound",
    "NotUnderstood",
    "OpenOrder",
    "OperatorClient",
    "OrderAmended",
    "OrderBook",
    "OrderCancelled",
    "OrderFilter",
    "OrderReceipt",
    "OrderRequest",
    "OrderStatus",
    "OrderTriggered",
    "OrderType",
    "OrderView",
    "OutcomeUnknown",
    "Phase",
    "PhaseChange",
    "PositionSnapshot",
    "PositionUpdate",
    "PostOnly",
    "PriceAndQuantity",
    "ProtectionView",
    "QuoteReceipt",
    "QuoteRequest",
    "RateLimited",
    "Reconnected",
    "Rejected",
    "Retries",
    "SelfTradePrevention",
    "ServerFailed",
    "ServerStopping",
    "Side",
    "StreamReset",
    "TimeInForce",
    "Timeout",
    "TradeEvent",
    "Transport",
    "Unauthenticated",
    "Unavailable",
    "WaitFor",
    "WebSocketTransport",
    "register",
]
