"""What a hosted component says of itself, and what both sides of the wire may say no to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tamis.component import Capabilities
from tamis.errors import Aborted, Code, FailedPrecondition, Unavailable

__all__ = [
    "CONTRACT_VERSIONS",
    "Description",
    "FingerprintChanged",
    "IndexBehindCaller",
    "NotOffered",
    "PluginRole",
    "UnsupportedContract",
]

CONTRACT_VERSIONS = (1,)
"""The versions of `PluginService` that this side speaks, the latest last."""


class PluginRole(Enum):
    """What a hosted component does; the proto's PluginRole says what each means."""

    EMBEDDER = "embedder"
    RERANKER = "reranker"
    RETRIEVER = "retriever"
    GENERATOR = "generator"
    LLM = "llm"


@dataclass(frozen=True, slots=True)
class Description:
    """What a component is. What does not belong to its role is empty or 0.

    `dimensions`, `max_tokens`, `fingerprint` and what it `embeds_…` are an embedder's; `context_token_count` a language
    model's; `keeps_index` a retriever's. `settings_schema` is JSON Schema.
    """

    role: PluginRole
    capabilities: Capabilities
    contract_version: int = CONTRACT_VERSIONS[-1]
    plugin: str = ""
    plugin_version: str = ""
    settings_schema: Mapping[str, Any] = field(default_factory=dict)
    keeps_index: bool = False
    dimensions: int = 0
    max_tokens: int = 0
    fingerprint: str = ""
    context_token_count: int = 0
    embeds_sparse: bool = False
    embeds_tokens: bool = False


class UnsupportedContract(FailedPrecondition):
    """The two sides speak no common version of the contract."""

    reason = "UNSUPPORTED_CONTRACT"

    def __init__(self) -> None:
        versions = ", ".join(map(str, CONTRACT_VERSIONS))
        super().__init__(f"this side speaks PluginService of version {versions}", metadata={"versions": versions})


class NotOffered(Unavailable):
    """The component does not do what only some of its role do."""

    code = Code.UNIMPLEMENTED
    reason = "NOT_OFFERED"


class FingerprintChanged(FailedPrecondition):
    """The embedder runs another model than the caller knows it to run."""

    reason = "FINGERPRINT_CHANGED"


class IndexBehindCaller(Aborted):
    """An index has lost changes that its caller knows it to have had."""

    reason = "INDEX_BEHIND_CALLER"
