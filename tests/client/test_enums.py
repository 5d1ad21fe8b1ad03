"""The client's enumerations against the wire's."""

from __future__ import annotations

import re

from tamis.client import BudgetBasis, FinishReason, ScoreKind, StageOutcome, StageReason, StageRole
from tamis.v1 import passage_pb2, search_service_pb2


def test_enumerations_have_the_numbers_of_the_wire_and_take_what_they_do_not_know() -> None:
    for kind in (BudgetBasis, FinishReason, ScoreKind, StageOutcome, StageReason, StageRole):
        prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper()
        module = search_service_pb2 if kind is BudgetBasis else passage_pb2
        wire = {name.removeprefix(f"{prefix}_"): number for name, number in getattr(module, kind.__name__).items()}
        ours = {each.name: each.value for each in kind}
        assert wire.pop("UNSPECIFIED") == 0
        assert ours == {**wire, "UNKNOWN": -1}
        assert kind(99) is kind(0) is kind.UNKNOWN
