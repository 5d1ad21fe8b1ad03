"""Turns what providers bill into money, by a table that users can edit."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tamis.context import BillingUnit, Usage

__all__ = ["Money", "Price", "PriceTable", "total"]

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in billionths of a currency's unit; `currency` is the ISO 4217 code."""

    currency: str
    nanos: int


class Price(BaseModel):
    """What a product costs. What a provider bills in a unit without a price here has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_thousand_searches: Amount | None = None
    per_million_input_tokens: Amount | None = None
    per_million_output_tokens: Amount | None = None

    def of(self, unit: BillingUnit) -> float | None:
        """For one unit."""
        match unit:
            case BillingUnit.SEARCH:
                return None if self.per_thousand_searches is None else self.per_thousand_searches / 1e3
            case BillingUnit.INPUT_TOKEN:
                return None if self.per_million_input_tokens is None else self.per_million_input_tokens / 1e6
            case BillingUnit.OUTPUT_TOKEN:
                return None if self.per_million_output_tokens is None else self.per_million_output_tokens / 1e6


class PriceTable(BaseModel):
    """The table `[prices]`: the built-in list prices in US dollars, under those of the configuration.

    With another `currency` the built-in prices do not count. A product is `PROVIDER/MODEL`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    products: dict[str, Price] = {}

    def cost(self, usage: Usage) -> Money | None:
        """What the charges of `usage` cost together; None when not one of them has a price."""
        amounts = [each for each in (self._amount(*charge) for charge in usage.charges.items()) if each is not None]
        return Money(self.currency, round(sum(amounts) * 1e9)) if amounts else None

    def _amount(self, charged: tuple[str, BillingUnit], count: float) -> float | None:
        product, unit = charged
        price = self.products.get(product) or (_built_in().get(product) if self.currency == "USD" else None)
        per_unit = None if price is None else price.of(unit)
        return None if per_unit is None else per_unit * count


def total(costs: Iterable[Money | None]) -> Money | None:
    """The sum of costs of one table, to the last billionth; None when none is known."""
    known = [each for each in costs if each is not None]
    return Money(known[0].currency, sum(each.nanos for each in known)) if known else None


@cache
def _built_in() -> dict[str, Price]:
    text = (resources.files("tamis") / "prices.toml").read_text(encoding="utf-8")
    return {name: Price.model_validate(values) for name, values in tomllib.loads(text).items()}
