import pytest

from exchange.model import roles
from exchange.model.reasons import Category, Code
from exchange.model.roles import NoTwoSided, OrderRate, PositionLimit, PriceRange
from exchange.services.validation.replies import DEFAULTS, Reply

DETAILS = {
    "instrument_id": "SPX",
    "current_position": 45,
    "open_quantity": 0,
    "order_quantity": 10,
    "limit": 50,
}


def test_every_constraint_type_has_its_default() -> None:
    """A type that could not answer would fail when the first order breaks it."""
    assert set(DEFAULTS) == set(roles.Constraint.__subclasses__())


def test_every_default_message_can_be_filled() -> None:
    """A default message names only what its refusal carries."""
    for defaults in DEFAULTS.values():
        assert defaults.message.format_map(dict.fromkeys(defaults.keys, 1))


def test_reply_without_config_uses_the_defaults() -> None:
    """Code, category and message are those of the type."""
    refusal = Reply(PositionLimit(max_position=50)).refuse(DETAILS)
    assert refusal.category is Category.INVALID
    assert refusal.code == Code.POSITION_LIMIT_EXCEEDED
    assert refusal.message == "Order would exceed position limit of 50"
    assert refusal.details == DETAILS


def test_reply_of_config_replaces_code_and_message() -> None:
    """The organiser's own words may use every detail that is no bare number of ticks; the category stays."""
    row = PositionLimit(
        max_position=50,
        error_code="MM_POS_LIMIT",
        error_message="{order_quantity} more of {instrument_id} on {current_position} is past {limit}",
    )
    refusal = Reply(row).refuse(DETAILS)
    assert (refusal.category, refusal.code) == (Category.INVALID, "MM_POS_LIMIT")
    assert refusal.message == "10 more of SPX on 45 is past 50"


def test_reply_keeps_literal_braces() -> None:
    """Doubled braces are braces, as everywhere in such templates."""
    row = OrderRate(max_orders_per_second=1, error_message="slow down {{{limit}}}")
    assert Reply(row).refuse({"limit": 1}).message == "slow down {1}"


@pytest.mark.parametrize(
    "message",
    ["{unknown}", "{}", "{0}", "{limit", "limit}", "{limit!r}", "{limit:>5}", "{limit.real}", "{limit[0]}"],
)
def test_reply_refuses_a_message_it_could_not_fill(message: str) -> None:
    """A placeholder is a plain name of a detail; anything else fails when the config loads."""
    with pytest.raises(ValueError, match=r".+"):
        Reply(OrderRate(max_orders_per_second=1, error_message=message))


def test_reply_refuses_ticks_in_a_message() -> None:
    """The wire turns ticks of the details into decimals; inside a text it could not."""
    with pytest.raises(ValueError, match="price_ticks"):
        Reply(PriceRange(min_price=1.0, max_price=2.0, error_message="{price_ticks} is wrong"))


@pytest.mark.parametrize("code", ["", "lower", "WITH SPACE", "1ST", "A" * 65])
def test_reply_refuses_a_code_that_is_none(code: str) -> None:
    """Codes are capitals, digits and underscores: clients branch on them."""
    with pytest.raises(ValueError, match="error_code"):
        Reply(NoTwoSided(error_code=code))
