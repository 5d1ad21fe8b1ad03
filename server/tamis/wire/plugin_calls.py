"""What surrounds the work of a hosted plugin: its call, what it reports, what it says of itself."""

from __future__ import annotations

import math
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from tamis.component import Capabilities
from tamis.context import BillingUnit, Call, Usage
from tamis.filters import Operator
from tamis.hosting.description import Description, PluginRole
from tamis.model import ScoreKind
from tamis.models import TextKind
from tamis.v1 import passage_pb2
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.passages import from_seconds, from_usage
from tamis.wire.values import from_metadata

__all__ = [
    "Reporter",
    "add_report",
    "from_call",
    "from_description",
    "from_kind",
    "from_text_kind",
    "to_description",
    "to_kind",
    "to_text_kind",
]

_KINDS: dict[ScoreKind, Any] = {
    each: passage_pb2.ScoreKind.Value(f"SCORE_KIND_{'UNSPECIFIED' if each is ScoreKind.NONE else each.name}")
    for each in ScoreKind
}
_NUMBERS: dict[int, ScoreKind] = {number: kind for kind, number in _KINDS.items()}
_UNITS: dict[BillingUnit, Any] = {each: pb.BillingUnit.Value(f"BILLING_UNIT_{each.name}") for each in BillingUnit}
_UNIT_NUMBERS = {number: unit for unit, number in _UNITS.items()}
_ROLES = {pb.PluginRole.Value(f"PLUGIN_ROLE_{each.name}"): each for each in PluginRole}
_OPERATORS = {each.value: each for each in Operator}


def from_kind(kind: ScoreKind) -> Any:
    """A kind of score."""
    return _KINDS[kind]


def to_kind(number: int) -> ScoreKind:
    """A kind of score; one that is not known here is NONE."""
    return _NUMBERS.get(number, ScoreKind.NONE)


def from_text_kind(kind: TextKind) -> pb.TextKind:
    """Which side of a search a text is on."""
    return pb.TEXT_KIND_QUERY if kind is TextKind.QUERY else pb.TEXT_KIND_PASSAGE


def to_text_kind(number: pb.TextKind) -> TextKind | None:
    """Which side of a search a text is on; None where that is not said."""
    return {pb.TEXT_KIND_QUERY: TextKind.QUERY, pb.TEXT_KIND_PASSAGE: TextKind.PASSAGE}.get(number)


def from_call(call: Call, component: str, contract_version: int) -> pb.PluginCall:
    """What a component is told of a call. Its deadline travels with gRPC, too; see the proto."""
    budget = call.deadline.remaining
    return pb.PluginCall(
        component=component,
        contract_version=contract_version,
        request_id=call.request_id,
        tenant=call.principal.tenant,
        subject=call.principal.subject,
        options=from_metadata(call.options),  # type: ignore[arg-type]
        budget_duration=from_seconds(budget) if math.isfinite(budget) else None,
    )


class Reporter:
    """Reports of one call: in each what has come about since the one before."""

    def __init__(self, call: Call) -> None:
        self._call, self._told, self._note_count = call, Usage(), 0

    def report(self) -> pb.PluginReport:
        """What is new. The call's usage may grow at the same time, on another thread."""
        now, told = Usage(), self._told
        now.add(self._call.usage)
        new = Usage(
            now.pair_count - told.pair_count,
            now.input_token_count - told.input_token_count,
            now.output_token_count - told.output_token_count,
            now.model_call_count - told.model_call_count,
            now.cache_hit_count - told.cache_hit_count,
            max(0.0, now.model_seconds - told.model_seconds),
        )
        charges = [
            pb.Charge(product=product, unit=_UNITS[unit], count=count - told.charges.get((product, unit), 0.0))
            for (product, unit), count in now.charges.items()
            if count != told.charges.get((product, unit), 0.0)
        ]
        notes = self._call.notes[self._note_count :]
        self._told, self._note_count = now, self._note_count + len(notes)
        return pb.PluginReport(usage=from_usage(new, None), charges=charges, notes=notes)


def add_report(call: Call, report: pb.PluginReport) -> None:
    """Adds what a component reports to the call. Counts that cannot be are left out."""
    usage = report.usage
    reported = Usage(
        max(0, usage.pair_count),
        max(0, usage.input_token_count),
        max(0, usage.output_token_count),
        max(0, usage.model_call_count),
        max(0, usage.cache_hit_count),
        max(0.0, usage.model_duration.seconds + usage.model_duration.nanos / 1e9),
    )
    for each in report.charges:
        if each.unit in _UNIT_NUMBERS and each.count > 0:
            reported.charge(each.product, _UNIT_NUMBERS[each.unit], each.count)
    call.usage.add(reported)
    for note in report.notes:
        call.note(note)


def from_description(description: Description) -> pb.DescribeResponse:
    """What a component is."""
    capabilities = description.capabilities
    return pb.DescribeResponse(
        contract_version=description.contract_version,
        role=f"PLUGIN_ROLE_{description.role.name}",
        plugin=description.plugin,
        plugin_version=description.plugin_version,
        settings_schema=json_format.ParseDict(dict(description.settings_schema), Struct()),
        score_kind=from_kind(capabilities.score_kind),
        filter_operators=sorted(each.value for each in capabilities.filter_operators),
        languages=sorted(capabilities.languages),
        candidate_limit=capabilities.max_candidates or 0,
        cross_document=capabilities.cross_document,
        keeps_index=description.keeps_index,
        dimension_count=description.dimensions,
        token_limit=description.max_tokens,
        fingerprint=description.fingerprint,
        context_token_count=description.context_token_count,
        embeds_sparse=description.embeds_sparse,
        embeds_tokens=description.embeds_tokens,
    )


def to_description(message: pb.DescribeResponse) -> Description | None:
    """What a component is; None for a role that is not known here."""
    role = _ROLES.get(message.role)
    if role is None:
        return None
    operators = (_OPERATORS.get(each) for each in message.filter_operators)
    capabilities = Capabilities(
        to_kind(message.score_kind),
        frozenset(each for each in operators if each is not None),
        frozenset(message.languages),
        message.candidate_limit if message.candidate_limit > 0 else None,
        message.cross_document,
    )
    return Description(
        role,
        capabilities,
        message.contract_version,
        message.plugin,
        message.plugin_version,
        json_format.MessageToDict(message.settings_schema),
        message.keeps_index,
        message.dimension_count,
        message.token_limit,
        message.fingerprint,
        message.context_token_count,
        message.embeds_sparse,
        message.embeds_tokens,
    )
