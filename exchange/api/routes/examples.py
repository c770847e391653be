"""Examples of the documentation: ``data`` of each operation, and values of path parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TIMESTAMP: Final = "2024-01-15T10:00:00.000417Z"

_OPTION: Final = "SPX_CALL_4400_20240315"
_KEY: Final = "itg_Vb1Yq0cZrWJm2nT8xkPLd4sHfGaEuR6yQ9oXw3iNtMA"

PATH_PARAMETERS: Final[Mapping[str, dict[str, Any]]] = {
    "order_id": {
        "description": "`ORD_` and a number, or `client:` and the `client_order_id`.",
        # Without a pattern "validate" would be an id, and that path takes other methods.
        "schema": {"type": "string", "pattern": "^(ORD_[0-9]{1,18}|client:[A-Za-z0-9._-]{1,36})$"},
        "example": "ORD_67890",
    },
    "instrument_id": {"schema": {"type": "string"}, "example": _OPTION},
    "quote_group": {
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,36}$"},
        "example": "default",
    },
    "team_id": {"schema": {"type": "string"}, "example": "TEAM_1"},
    "request_id": {
        "description": "The `request_id` of an earlier answer, or the `X-Request-ID` that was sent.",
        "schema": {"type": "string"},
        "example": "my-request-1",
    },
}

_ORDER_RESULT: Final = {
    "client_order_id": "my-order-1",
    "status": "partially_filled",
    "quantity": 10,
    "price": 62.5,
    "filled_quantity": 4,
    "remaining_quantity": 6,
    "average_price": 62.45,
    "fees": -0.08,
}
_CANCELLED: Final = {**_ORDER_RESULT, "status": "cancelled", "remaining_quantity": 0}
_AMENDED: Final = {**_ORDER_RESULT, "quantity": 5, "price": 62.4, "remaining_quantity": 1}
_ORDER: Final = {
    "order_id": "ORD_67890",
    "instrument_id": _OPTION,
    "side": "buy",
    "order_type": "limit",
    "time_in_force": "gtc",
    "status": "partially_filled",
    "quantity": 10,
    "filled_quantity": 4,
    "remaining_quantity": 6,
    "fees": -0.08,
    "timestamp": TIMESTAMP,
    "price": 62.5,
    "average_price": 62.45,
    "client_order_id": "my-order-1",
}
_EXECUTION: Final = {
    "exec_id": "EXE_22222",
    "trade_id": "TRD_11111",
    "order_id": "ORD_67890",
    "instrument_id": _OPTION,
    "side": "buy",
    "price": 62.45,
    "quantity": 4,
    "liquidity_type": "taker",
    "fees": -0.08,
    "timestamp": TIMESTAMP,
    "client_order_id": "my-order-1",
}
_TRADE: Final = {
    "trade_id": "TRD_11111",
    "price": 62.45,
    "quantity": 4,
    "side": "buy",
    "timestamp": TIMESTAMP,
}
_CANDLE: Final = {
    "start": "2024-01-15T10:00:00.000000Z",
    "open": 24.8,
    "high": 25.1,
    "low": 24.75,
    "close": 25.0,
    "volume": 120,
    "trades": 14,
}
_INSTRUMENT: Final = {
    "instrument_id": _OPTION,
    "kind": "option",
    "tick_size": 0.01,
    "multiplier": 100,
    "reference_price": 36.8,
    "underlying_id": "SPX",
    "option_kind": "call",
    "strike": 4400.0,
    "expiry": "2024-03-15",
    "low_band": 0.01,
    "high_band": 124.8,
}
_POSITIONS: Final = {
    "team_id": "TEAM_1",
    "positions": {_OPTION: 4},
    "details": {
        _OPTION: {
            "position": 4,
            "average_price": 62.45,
            "realised_pnl": 0.0,
            "unrealised_pnl": 20.0,
            "mark_price": 62.5,
        }
    },
    "cash": -24980.0,
    "fees": -0.08,
    "realised_pnl": 0.0,
    "unrealised_pnl": 20.0,
    "equity": 19.92,
}
_TEAM: Final = {
    "team_id": "TEAM_1",
    "name": "Alpha",
    "role": "market_maker",
    "registered_at": TIMESTAMP,
}
_DISABLED_TEAM: Final = {**_TEAM, "disabled": True}
_REGISTERED: Final = {"team_id": "TEAM_1", "name": "Alpha", "role": "market_maker", "api_key": _KEY}

ANSWERS: Final[Mapping[str, Any]] = {
    "validate_order": {"valid": True},
    "cancel_order": _CANCELLED,
    "amend_order": _AMENDED,
    "submit_batch": {
        "answers": [
            {
                "success": True,
                "request_id": "my-request-1.1",
                "timestamp": TIMESTAMP,
                "status": 200,
                "order_id": "ORD_67890",
            },
            {
                "success": False,
                "request_id": "my-request-1.2",
                "timestamp": TIMESTAMP,
                "status": 400,
                "error": {
                    "code": "PRICE_NOT_ON_TICK",
                    "message": "The price is not a multiple of the tick size",
                    "details": {"price": 4401.005, "tick_size": 0.01},
                },
            },
        ]
    },
    "submit_quotes": {
        "answers": [
            {
                "success": True,
                "request_id": "my-request-1.1",
                "timestamp": TIMESTAMP,
                "status": 200,
                "bid_order_id": "ORD_67890",
                "ask_order_id": "ORD_67891",
            },
            {
                "success": False,
                "request_id": "my-request-1.2",
                "timestamp": TIMESTAMP,
                "status": 400,
                "error": {
                    "code": "PRICE_NOT_ON_TICK",
                    "message": "ask_price must be a multiple of the tick size 0.01",
                    "details": {"instrument_id": "SPY", "ask_price": 440.005, "tick_size": 0.01},
                },
            },
        ]
    },
    "get_protection": {
        "quote_group": "default",
        "is_protected": True,
        "fills": 5,
        "window_ms": 1000,
        "frozen_ms": 10000,
        "recent_fills": 2,
        "recent_lots": 12,
    },
    "set_protection": {
        "quote_group": "default",
        "is_protected": True,
        "fills": 5,
        "window_ms": 1000,
        "frozen_ms": 10000,
        "recent_fills": 0,
        "recent_lots": 0,
    },
    "remove_protection": {"quote_group": "default", "is_protected": False},
    "cancel_all_after": {"armed": True, "timeout_ms": 30000, "expires_at": TIMESTAMP},
    "get_cancel_all_after": {"armed": True, "timeout_ms": 30000, "expires_at": TIMESTAMP},
    "cancel_team_orders": {"sequence": 67901, "cancelled": 3},
    "cancel_all_orders": {"sequence": 67901, "cancelled": 3},
    "get_order": _ORDER,
    "list_orders": {"orders": [_ORDER]},
    "list_executions": {"executions": [_EXECUTION], "next_cursor": "EXE_22222"},
    "get_request": {
        "request_id": "my-request-1",
        "status": "completed",
        "registered_at": TIMESTAMP,
        "order_id": "ORD_67890",
        "http_status": 200,
        "processing_time_us": 812,
    },
    "get_orderbook": {
        "instrument_id": _OPTION,
        "bids": [[62.4, 10], [62.3, 25]],
        "asks": [[62.6, 5]],
        "timestamp": TIMESTAMP,
    },
    "list_trades": {"instrument_id": _OPTION, "trades": [_TRADE], "next_cursor": "TRD_11111"},
    "list_candles": {"instrument_id": _OPTION, "interval": "1m", "candles": [_CANDLE]},
    "list_instruments": {"instruments": [_INSTRUMENT]},
    "get_time": {"timestamp": TIMESTAMP, "unix_us": 1_705_312_800_000_417},
    "get_own_positions": _POSITIONS,
    "get_positions": _POSITIONS,
    "get_limits": {
        "team_id": "TEAM_1",
        "role": "market_maker",
        "limits": [
            {"type": "position_limit", "limit": 50, "used": 10, "instrument_id": _OPTION},
            {"type": "portfolio_limit", "limit": 200, "used": 4},
            {"type": "order_size", "limit": 100},
            {"type": "order_rate", "limit": 100},
        ],
    },
    "register_team": _REGISTERED,
    "get_team": _TEAM,
    "get_game_status": {
        "preset": "always_open",
        "phase": "continuous",
        "teams": 12,
        "instruments": 182,
        "sequence": 67901,
        "timestamp": TIMESTAMP,
        "api_version": "1",
    },
    "get_game_rules": {
        "preset": "always_open",
        "self_trade_prevention": "cancel_taker",
        "roles": [
            {
                "role": "arbitrage",
                "open": True,
                "fees": {"maker": 0.01, "taker": -0.02, "auction": 0.0},
                "constraints": [
                    {
                        "type": "order_rate",
                        "parameters": {"max_orders_per_second": 7},
                        "error_code": "ORDER_RATE_EXCEEDED",
                    },
                    {
                        "type": "position_limit",
                        "parameters": {"max_position": 100, "symmetric": True},
                        "error_code": "POSITION_LIMIT_EXCEEDED",
                    },
                ],
                "aliases": ["arbitrage_desk"],
            }
        ],
        "max_teams": 1000,
        "invite_code_needed": False,
        "bands": {
            "underlying": 0.2,
            "option": 0.2,
            "option_underlying": 0.02,
            "option_min_ticks": 10,
        },
    },
    "get_admin_status": {
        "state": "running",
        "state_hash": "5f2b1c9be93f223f6cb5930531ae52e2",
        "sequence": 67901,
        "timestamp": TIMESTAMP,
        "phase": "continuous",
        "teams": 12,
        "queues": {"order_queue": 0, "match_queue": 0, "trade_queue": 0, "websocket_queue": 0},
        "responses": {
            "pending": 1,
            "kept": 10000,
            "registered": 68110,
            "completed": 68109,
            "refused": 208,
            "timed_out": 0,
            "overloaded": 0,
            "expired": 0,
        },
    },
    "list_audit": {
        "acts": [
            {
                "act_id": "ACT_67902",
                "sequence": 67902,
                "timestamp": "2026-03-02T15:04:05.000123Z",
                "actor": "operator",
                "admin_key_id": "cc25cb6e",
                "act": "set_phase",
                "details": {"phase": "halted", "reason": "wrong expiry", "instrument_id": "SPY"},
            }
        ],
        "next_cursor": "ACT_67902",
    },
    "list_teams": {"teams": [_TEAM]},
    "create_team": {**_REGISTERED, "team_id": "TEAM_2", "name": "House flow", "role": "retail"},
    "rotate_key": {"team_id": "TEAM_1", "api_key": _KEY},
    "disable_team": _DISABLED_TEAM,
    "enable_team": _TEAM,
    "set_phase": {"phase": "halted", "sequence": 67902, "instrument_id": "SPY"},
    "get_live": {"status": "ok"},
    "get_ready": {"status": "ok"},
}
