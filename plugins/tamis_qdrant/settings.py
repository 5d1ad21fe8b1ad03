"""The settings of the qdrant retriever, for both places its vectors can be in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, SecretStr, model_validator

from tamis.component import Ref, Settings
from tamis.models import Embedder
from tamis_qdrant.address import Address

__all__ = ["QdrantSettings", "VectorName"]

VectorName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
_Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000)]
_Seconds: TypeAlias = Annotated[float, Field(gt=0, le=3_600)]
_EMBEDDED = frozenset({"embedder", "index_from", "on_disk", "quantization"})


class QdrantSettings(Settings):
    """Without `url` the engine is embedded, and `index_from` is the number of vectors outside the graph from which a
    new one is built; below it the exact search is as fast.

    In both places `quantization` keeps small copies of the vectors in memory, by which the graph is walked: a quarter
    of the size by `scalar`, a 32nd by `binary`; what is found is scored by the vectors themselves. `on_disk` leaves
    those to the page cache, into which a million need not fit.

    With `url`, the address of the gRPC API, it is a server or a cluster. The key stands in `api_key_file`, or in
    `api_key`; over plaintext it is sent to this machine alone unless `plaintext_key` says otherwise. `ca_file` holds
    the certificates to trust instead of the system's. Collections are named `prefix`, the collection's name, its
    incarnation, the stage; `vector` names the embedder's vector in them. `write_consistency` is how many replicas
    must have a write, `read_consistency` how many must agree on an answer. Seconds: `connect_seconds` for the first
    answer of a server, `write_seconds` for one write, `batch_seconds` for how long a search waits for those of the
    same request that are still being embedded.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    embedder: Ref[Embedder]
    index_from: Annotated[int, Field(ge=100)] = 10_000
    url: str = ""
    api_key: SecretStr = SecretStr("")
    api_key_file: Path | None = None
    plaintext_key: bool = False
    ca_file: Path | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{0,63}$")] = "tamis-"
    vector: VectorName = "dense"
    shard_number: _Count | None = None
    replication_factor: _Count | None = None
    write_consistency: _Count | None = None
    read_consistency: Literal["majority", "quorum", "all"] | _Count | None = None
    on_disk: bool = False
    quantization: Literal["none", "scalar", "binary"] = "none"
    connect_seconds: _Seconds = 5.0
    write_seconds: _Seconds = 60.0
    batch_seconds: Annotated[float, Field(ge=0, le=60)] = 0.05

    @model_validator(mode="after")
    def _fits_together(self) -> QdrantSettings:
        if not self.url:
            if unused := sorted(self.model_fields_set - _EMBEDDED):
                raise ValueError(f"{unused[0]} needs a url; without one the engine is embedded")
            return self
        if "index_from" in self.model_fields_set:
            raise ValueError("index_from is for the embedded engine; a server has its own threshold")
        address = Address.parse(self.url)
        if self.has_key and not (address.tls or address.is_loopback or self.plaintext_key):
            raise ValueError(
                "the key would cross the network in plaintext; use https:// in url, or plaintext_key = true"
            )
        if self.ca_file is not None and not address.tls:
            raise ValueError("ca_file needs https:// in url")
        return self

    @property
    def has_key(self) -> bool:
        """Whether a key is to be sent."""
        return bool(self.api_key.get_secret_value()) or self.api_key_file is not None
