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
from exchange.client.order_queues import OrderQueues, QueuedOrder
from exchange.client.quotes import PriceAndQuantity
from exchange.client.results import OrderReceipt, QuoteReceipt
from exchange.client.retries import Backoff, Retries
from exchange.client.transport import Transport
from exchange.model.order import OrderStatus
from exchange.model.types import Interval, OrderType, Phase, PostOnly, SelfTradePrevention, Side, TimeInForce
from exchange.wire.data import CandleList, CandleView, OrderView, ProtectionView
from exchange.wire.events import (
    BookSnapshot,
    BookUpdate,
    CandleUpdate,
    ExecutionReport,
    InstrumentStatus,
    NewOrderAck,
    OrderAmended,
    OrderCancelled,
    OrdersSnapshot,
    OrdersUpdate,
    OrderTriggered,
    PhaseChange,
    PositionSnapshot,
    PositionUpdate,
    Ticker,
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
    "CandleList",
    "CandleUpdate",
    "CandleView",
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
    "InstrumentStatus",
    "Interval",
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
    "OrderQueues",
    "OrderReceipt",
    "OrderRequest",
    "OrderStatus",
    "OrderTriggered",
    "OrderType",
    "OrderView",
    "OrdersSnapshot",
    "OrdersUpdate",
    "OutcomeUnknown",
    "Phase",
    "PhaseChange",
    "PositionSnapshot",
    "PositionUpdate",
    "PostOnly",
    "PriceAndQuantity",
    "ProtectionView",
    "QueuedOrder",
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
    "Ticker",
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
