"""What work consumed, added up and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tamis.v1 import passage_pb2 as pb

__all__ = ["Totals", "in_words"]

_NANOS = 10**9


@dataclass(slots=True)
class Totals:
    """The usage of many requests together."""

    usage: pb.Usage = field(default_factory=pb.Usage)

    def add(self, usage: pb.Usage) -> None:
        """Adds one request's. Money in another currency than the first one's is left out."""
        for name in _COUNTS:
            setattr(self.usage, name, getattr(self.usage, name) + getattr(usage, name))
        if usage.HasField("model_duration"):
            total: timedelta = self.usage.model_duration.ToTimedelta() + usage.model_duration.ToTimedelta()
            self.usage.model_duration.FromTimedelta(total)
        if usage.HasField("cost"):
            self._pay(usage.cost)

    def _pay(self, cost: pb.Money) -> None:
        paid = self.usage.cost
        if paid.currency_code not in ("", cost.currency_code):
            return
        paid.currency_code = cost.currency_code
        paid.units, paid.nanos = divmod((paid.units + cost.units) * _NANOS + paid.nanos + cost.nanos, _NANOS)


_COUNTS = ("pair_count", "input_token_count", "output_token_count", "model_call_count", "cache_hit_count")


def in_words(usage: pb.Usage) -> str:
    """`50 pairs, 4 calls, 9,200 tokens in, 0.19 s of models, 0.0021 USD`: what there was, empty for nothing."""
    parts = [
        _count(usage.pair_count, "pair"),
        _count(usage.model_call_count, "call"),
        f"{usage.input_token_count:,} tokens in" if usage.input_token_count else "",
        f"{usage.output_token_count:,} tokens out" if usage.output_token_count else "",
        f"{usage.cache_hit_count:,} cached" if usage.cache_hit_count else "",
        f"{_seconds(usage):.3g} s of models" if usage.HasField("model_duration") else "",
        _money(usage.cost) if usage.HasField("cost") else "",
    ]
    return ", ".join(each for each in parts if each)


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}" if number else ""


def _seconds(usage: pb.Usage) -> float:
    elapsed: timedelta = usage.model_duration.ToTimedelta()
    return elapsed.total_seconds()


def _money(cost: pb.Money) -> str:
    amount = cost.units + cost.nanos / _NANOS
    return f"{amount:,.2f} {cost.currency_code}" if amount >= 1 or not amount else f"{amount:.2g} {cost.currency_code}"
