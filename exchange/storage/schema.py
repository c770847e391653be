"""The tables. docs/sql.md tells what each column means; the migrations create them.

Identifiers are numbers: what the API calls ``ORD_17`` is 17 here, ``TEAM_1`` is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from exchange.storage.types import MONEY_SCALE, PRICE_SCALE, Moment, amount

OFFSET_TABLE: Final = "projection"
VERSION_TABLE: Final = "projection_version"
PARTITIONED: Final = ("orders", "trades", "executions")
"""The large tables, by the day in ``day``."""
NAME: Final = 255
"""Characters of an identifier or a name: more than any has."""

_MYSQL: Final = {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}
_PARTITION_BY: Final[Mapping[str, str]] = {
    "postgresql": "RANGE (day)",
    "mysql": "RANGE COLUMNS (day) (PARTITION p_rest VALUES LESS THAN (MAXVALUE))",
}


def family(dialect: str) -> str:
    """``sqlite``, ``postgresql`` or ``mysql``, which stands for MariaDB too."""
    return "mysql" if dialect == "mariadb" else dialect


class Schema:
    """Every table as one kind of database has it. ``dialect`` is a name of SQLAlchemy's."""

    def __init__(self, dialect: str) -> None:
        self.dialect = family(dialect)
        self._options_of = dialect
        self.metadata = MetaData()
        self._teams_and_instruments()
        self._orders()
        self._trades()
        self._executions()
        self._holdings()
        self._chronicle()
        self.offset = self._table(
            OFFSET_TABLE,
            _number("id", primary_key=True),
            _big("sequence"),
            _big("anchor"),
            Column("chain", String(64), nullable=False),
        )

    def table(self, name: str) -> Table:
        """The table called ``name``."""
        return self.metadata.tables[name]

    def _teams_and_instruments(self) -> None:
        self._table(
            "teams",
            _number("team_id", primary_key=True),
            Column("name", String(NAME), nullable=False),
            Column("role", String(NAME), nullable=False),
            Column("disabled", Boolean, nullable=False),
            Column("registered_at", Moment, nullable=False),
            *self._money("cash"),
            *self._money("fees"),
        )
        self._table(
            "instruments",
            Column("instrument_id", String(NAME), primary_key=True),
            Column("kind", String(16), nullable=False),
            *self._price("tick_size"),
            _big("multiplier"),
            *self._money("tick_value"),
            *self._price("first_price"),
            Column("underlying_id", String(NAME)),
            Column("option_kind", String(16)),
            *self._price("strike", nullable=True),
            Column("expiry", String(NAME)),
        )

    def _orders(self) -> None:
        self._daily(
            "orders",
            "order_id",
            _big("team_id"),
            Column("instrument_id", String(NAME), nullable=False),
            *_words("side", "order_type", "time_in_force"),
            Column("client_order_id", String(36)),
            Column("request_id", String(NAME), nullable=False),
            Column("entered_at", Moment, nullable=False),
            Column("updated_at", Moment, nullable=False),
            *_words("status"),
            Column("cancel_reason", String(32)),
            Column("price_ticks", BigInteger),
            *self._price("price", nullable=True),
            _big("quantity"),
            _big("filled_quantity"),
            *self._price("average_price", nullable=True),
            _big("filled_ticks"),
            *self._money("fees"),
            Column("sent_price_ticks", BigInteger),
            _big("sent_quantity"),
            Column("stop_price_ticks", BigInteger),
            *self._price("stop_price", nullable=True),
            Column("post_only", String(16)),
            Column("display_quantity", BigInteger),
            Column("reduce_only", Boolean, nullable=False),
            Column("expires_at", Moment),
            Column("label", String(36)),
            Column("self_trade_prevention", String(16)),
            Column("quote_group", String(36)),
            Index("orders_by_team", "team_id", "order_id"),
            Index("orders_by_client_id", "team_id", "client_order_id"),
            Index("orders_by_instrument", "instrument_id", "entered_at"),
        )

    def _trades(self) -> None:
        self._daily(
            "trades",
            "trade_id",
            _big("sequence"),
            Column("auction_id", BigInteger),
            Column("instrument_id", String(NAME), nullable=False),
            Column("traded_at", Moment, nullable=False),
            _big("price_ticks"),
            *self._price("price"),
            _big("quantity"),
            *self._money("value"),
            *_words("taker_side"),
            *(_big(f"{side}_{what}_id") for side in ("buy", "sell") for what in ("order", "team")),
            Index("trades_by_instrument", "instrument_id", "trade_id"),
            Index("trades_by_time", "traded_at"),
            Index("trades_by_buyer", "buy_team_id", "trade_id"),
            Index("trades_by_seller", "sell_team_id", "trade_id"),
        )

    def _executions(self) -> None:
        self._daily(
            "executions",
            "exec_id",
            *(_big(name) for name in ("trade_id", "order_id", "team_id", "seq")),
            Column("instrument_id", String(NAME), nullable=False),
            *_words("side", "liquidity"),
            _big("price_ticks"),
            *self._price("price"),
            _big("quantity"),
            *self._money("fees"),
            _big("filled_quantity"),
            _big("remaining_quantity"),
            Column("executed_at", Moment, nullable=False),
            Column("client_order_id", String(36)),
            Column("request_id", String(NAME), nullable=False),
            Column("auction_id", BigInteger),
            Index("executions_by_team", "team_id", "exec_id"),
            Index("executions_by_order", "order_id"),
            Index("executions_by_instrument", "instrument_id", "executed_at"),
        )

    def _holdings(self) -> None:
        self._table(
            "positions",
            _number("team_id", primary_key=True),
            Column("instrument_id", String(NAME), primary_key=True),
            _big("position"),
            *self._money("cost"),
            *self._price("average_price", nullable=True),
            *self._money("realised_pnl"),
            Column("updated_at", Moment, nullable=False),
        )
        self._table(
            "fees",
            _number("team_id", primary_key=True),
            Column("instrument_id", String(NAME), primary_key=True),
            Column("liquidity", String(16), primary_key=True),
            _big("fills"),
            _big("quantity"),
            *self._money("fees"),
        )

    def _chronicle(self) -> None:
        self._table(
            "phases",
            _number("sequence", primary_key=True),
            Column("entered_at", Moment, nullable=False),
            Column("due_at", Moment),
            Column("instrument_id", String(NAME)),
            *_words("phase"),
            Column("reason", Text, nullable=False),
        )
        self._table(
            "news",
            _number("sequence", primary_key=True),
            Column("published_at", Moment, nullable=False),
            Column("headline", Text, nullable=False),
            Column("details", Text, nullable=False),
        )
        self._table(
            "audit",
            _number("sequence", primary_key=True),
            Column("recorded_at", Moment, nullable=False),
            Column("act", String(32), nullable=False),
            Column("team_id", BigInteger),
            Column("request_id", String(NAME)),
            Column("reason", Text),
            Column("details", Text, nullable=False),
            Index("audit_by_act", "act", "sequence"),
        )

    def _daily(self, name: str, key: str, *columns: Column[Any] | Index) -> None:
        self._table(
            name,
            Column(key, BigInteger, nullable=False, autoincrement=False),
            Column("day", Date, nullable=False),
            *columns,
            PrimaryKeyConstraint(key, "day"),
            partition_by=_PARTITION_BY.get(self.dialect),
        )

    def _table(
        self,
        name: str,
        *parts: Column[Any] | Index | PrimaryKeyConstraint,
        partition_by: str | None = None,
    ) -> Table:
        options: dict[str, Any] = dict(_MYSQL) if self.dialect == "mysql" else {}
        if partition_by is not None:
            options["partition_by"] = partition_by
        prefixed: dict[str, Any] = {f"{self._options_of}_{name}": value for name, value in options.items()}
        return Table(name, self.metadata, *parts, **prefixed)

    def _money(self, name: str) -> list[Column[Any]]:
        return amount(name, MONEY_SCALE, self.dialect)

    def _price(self, name: str, *, nullable: bool = False) -> list[Column[Any]]:
        return amount(name, PRICE_SCALE, self.dialect, nullable=nullable)


def _number(name: str, *, primary_key: bool = False) -> Column[Any]:
    return Column(name, _BIGGEST, primary_key=primary_key, autoincrement=False, nullable=False)


def _big(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


def _words(*names: str) -> list[Column[Any]]:
    return [Column(name, String(20), nullable=False) for name in names]


_BIGGEST: Final = BigInteger().with_variant(Integer(), "sqlite")
