"""Generations and their indexes as messages."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from tamis.generations import GenerationState
from tamis.indexes import IndexState
from tamis.v1 import index_service_pb2 as pb

__all__ = ["from_generation", "from_index_state"]


def from_generation(state: GenerationState) -> pb.Generation:
    """One generation and how far it has got."""
    generation, create_time = state.generation, Timestamp()
    create_time.FromDatetime(generation.create_time)
    return pb.Generation(
        number=generation.number,
        state=_doing(state),
        chunker=generation.recipe.chunker,
        replacements=generation.recipe.replacements,
        create_time=create_time,
        divided_document_count=state.divided_count,
        indexes=[from_index_state(each) for each in state.indexes],
    )


def from_index_state(state: IndexState) -> pb.IndexState:
    """How far one index has got."""
    return pb.IndexState(
        stage=state.stage,
        applied_sequence=state.applied_sequence,
        lag_count=state.lag_count,
        problem=state.problem,
        dead_letter_count=state.dead_letter_count,
    )


def _doing(state: GenerationState) -> pb.GenerationState:
    if state.is_serving:
        return pb.GENERATION_STATE_SERVING
    return pb.GENERATION_STATE_READY if state.is_ready else pb.GENERATION_STATE_BUILDING
