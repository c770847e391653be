"""Column types: in Python money, prices and times are integers, in SQL they are what people read.

An amount is NUMERIC where the database has exact decimals. SQLite has none: there it is stored as an integer
of the smallest unit, in a column whose name tells the unit (``fees_e4``), and a virtual column of the plain
name shows it as a decimal number.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Computed, DateTime, Dialect, Float, Numeric, Text
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

PRICE_SCALE: Final = 8
"""Decimals of a price. One that needs more is rounded; ``price_ticks`` beside it is exact."""
MONEY_SCALE: Final = 4
"""Decimals of money: it is kept in 1/10,000 of the currency everywhere."""

_DIGITS: Final = 38
_EXACT: Final = Context(prec=100)
_INT64: Final = 1 << 63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400_000_000
_EPOCH_DAY: Final = _EPOCH.toordinal()


class _Untyped(UserDefinedType[Any]):
    """A column without a type: SQLite then keeps what it is given, and converts nothing."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return ""


class Exact(TypeDecorator[int]):
    """``value`` / 10**scale; an integer in Python."""

    impl = Numeric
    cache_ok = True

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return _Untyped()
        return dialect.type_descriptor(Numeric(_DIGITS, self.scale))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if dialect.name == "sqlite":
            # Sums of money know no bound, and its integers end at 64 bits.
            return value if -_INT64 <= value < _INT64 else str(value)
        return Decimal(value).scaleb(-self.scale, _EXACT)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        if value is None or dialect.name == "sqlite":
            return None if value is None else int(value)
        return int(value.scaleb(self.scale, _EXACT))

    def decimal(self, value: int) -> Decimal:
        """The amount as people write it."""
        return Decimal(value).scaleb(-self.scale, _EXACT)


class Moment(TypeDecorator[int]):
    """Microseconds since 1970 UTC in Python. In SQL a time in UTC with six digits of microseconds."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        moment = to_datetime(value)
        if dialect.name == "sqlite":
            return moment.replace(tzinfo=None).isoformat(" ", "microseconds")
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def amount(name: str, scale: int, dialect: str, *, nullable: bool = False) -> list[Column[Any]]:
    """The columns of one amount; statements call it ``name`` whatever the database."""
    if dialect != "sqlite":
        return [Column(name, Exact(scale), nullable=nullable)]
    stored = f"{name}_e{scale}"
    return [
        Column(stored, Exact(scale), key=name, nullable=nullable),
        Column(name, Float, Computed(f"{stored} / 1e{scale}", persisted=False), key=f"{name}_shown"),
    ]


def to_datetime(timestamp_us: int) -> datetime:
    """Microseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(microseconds=timestamp_us)


def day_of(timestamp_us: int) -> date:
    """The day in UTC, by which the large tables are partitioned."""
    return _date(timestamp_us // _DAY_US)


@lru_cache(maxsize=8)
def _date(days: int) -> date:
    return date.fromordinal(_EPOCH_DAY + days)
