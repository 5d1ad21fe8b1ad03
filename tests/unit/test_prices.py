"""From what a provider bills to money, by the built-in table and a user's own."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tamis.config import parse
from tamis.context import BillingUnit, Usage
from tamis.errors import ConfigurationError
from tamis.prices import Money, Price, PriceTable, total

COHERE = "cohere/rerank-v3.5"


def _usage(*charges: tuple[str, BillingUnit, float]) -> Usage:
    usage = Usage()
    for charge in charges:
        usage.charge(*charge)
    return usage


SEARCHES = _usage((COHERE, BillingUnit.SEARCH, 3))
TOKENS = _usage(("openai/gpt-4.1", BillingUnit.INPUT_TOKEN, 1_000), ("openai/gpt-4.1", BillingUnit.OUTPUT_TOKEN, 100))


def test_a_search_and_a_token_have_their_list_price() -> None:
    assert PriceTable().cost(SEARCHES) == Money("USD", 6_000_000)
    assert PriceTable().cost(TOKENS) == Money("USD", 2_800_000)


@pytest.mark.parametrize(
    "usage",
    [Usage(), _usage(("nobody/nothing", BillingUnit.SEARCH, 3)), _usage((COHERE, BillingUnit.OUTPUT_TOKEN, 3))],
    ids=["nothing", "product", "unit"],
)
def test_what_has_no_price_costs_nothing_that_is_known(usage: Usage) -> None:
    assert PriceTable().cost(usage) is None


def test_what_has_no_price_does_not_hide_what_has_one() -> None:
    usage = _usage((COHERE, BillingUnit.SEARCH, 1), ("nobody/nothing", BillingUnit.INPUT_TOKEN, 9))
    assert PriceTable().cost(usage) == Money("USD", 2_000_000)


def test_a_configuration_overrides_a_price_and_adds_products() -> None:
    table = parse(f'''
[prices.products."{COHERE}"]
per_thousand_searches = 1.0
[prices.products."house/model"]
per_million_input_tokens = 0.5
''').prices
    assert table.cost(SEARCHES) == Money("USD", 3_000_000)
    assert table.cost(_usage(("house/model", BillingUnit.INPUT_TOKEN, 10))) == Money("USD", 5_000)
    assert table.cost(TOKENS) == Money("USD", 2_800_000)


def test_in_another_currency_only_the_configurations_prices_count() -> None:
    table = parse(f'[prices]\ncurrency = "EUR"\n[prices.products."{COHERE}"]\nper_thousand_searches = 1.8').prices
    assert table.cost(SEARCHES) == Money("EUR", 5_400_000)
    assert table.cost(TOKENS) is None


@pytest.mark.parametrize("price", ["-1.0", "nan", "inf", '"free"'])
def test_a_price_that_is_none_is_refused_where_it_stands(price: str) -> None:
    with pytest.raises(ConfigurationError, match="prices"):
        parse(f'[prices.products."{COHERE}"]\nper_thousand_searches = {price}')


def test_a_price_in_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ValidationError):
        Price.model_validate({"per_thousand_cats": 1.0})


def test_a_total_is_the_sum_of_what_is_known_to_the_last_billionth() -> None:
    assert total([Money("USD", 1), None, Money("USD", 2)]) == Money("USD", 3)
    assert total([None, None]) is None
