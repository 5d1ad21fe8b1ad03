"""What work consumed, added up and in words."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from tamis.cli.usage import Totals, in_words
from tamis.v1 import passage_pb2 as pb


def _usage(**fields: int) -> pb.Usage:
    return pb.Usage(
        pair_count=1,
        model_duration=Duration(nanos=600_000_000),
        cost=pb.Money(currency_code="USD", nanos=700_000_000),
        **fields,
    )


def test_every_field_is_added_up_across_its_carry() -> None:
    totals = Totals()
    for _ in range(3):
        totals.add(_usage(model_call_count=2, input_token_count=500, output_token_count=1, cache_hit_count=4))
    expected = "3 pairs, 6 calls, 1,500 tokens in, 3 tokens out, 12 cached, 1.8 s of models, 2.10 USD"
    assert in_words(totals.usage) == expected
    assert (totals.usage.cost.units, totals.usage.cost.nanos) == (2, 100_000_000)


def test_money_of_another_currency_is_not_added() -> None:
    totals = Totals()
    totals.add(_usage())
    totals.add(pb.Usage(cost=pb.Money(currency_code="EUR", units=5)))
    assert in_words(totals.usage) == "1 pair, 0.6 s of models, 0.7 USD"


def test_nothing_is_said_of_nothing_and_little_money_is_not_rounded_away() -> None:
    assert in_words(pb.Usage()) == ""
    assert in_words(pb.Usage(cost=pb.Money(currency_code="USD", nanos=2_100_000))) == "0.0021 USD"


def test_every_count_of_the_message_is_known_to_both() -> None:
    counts = {each.name: 1 for each in pb.Usage.DESCRIPTOR.fields if each.name.endswith("_count")}
    totals = Totals()
    totals.add(pb.Usage(**counts))
    assert totals.usage == pb.Usage(**counts)
    assert in_words(totals.usage).count("1 ") == len(counts)
