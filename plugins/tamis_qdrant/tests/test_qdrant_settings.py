"""How a Qdrant server is configured: addresses, keys, and what does not fit together."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tamis.config import load
from tamis.errors import ConfigurationError
from tamis.plugins import build
from tamis.testing.contract import opened
from tamis.testing.embedders import HashEmbedder
from tamis_qdrant import QdrantDense, QdrantLearnedSparse, QdrantRetriever, QdrantSparse, QdrantTokens
from tamis_qdrant.address import Address
from tamis_qdrant.naming import collection_name

SECRET = "a-key-that-nobody-may-see"


def settings(**values: Any) -> Any:
    return QdrantRetriever.Settings(embedder=HashEmbedder(HashEmbedder.Settings()), **values)


@pytest.mark.parametrize(
    ("text", "target", "tls"),
    [
        ("http://localhost:6334", "localhost:6334", False),
        ("https://qdrant.example:443", "qdrant.example:443", True),
        ("qdrant.example:7000", "qdrant.example:7000", False),
        ("https://qdrant.example/", "qdrant.example:6334", True),
        ("qdrant.example", "qdrant.example:6334", False),
        ("http://[::1]:6334", "[::1]:6334", False),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, target: str, tls: bool) -> None:
    address = Address.parse(text)
    assert (address.target, address.tls) == (target, tls)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text", ["grpc://host:6334", "http://", "http://host/collections", "host:port", "host:70000", "http://host?x=1", ""]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"url|ort"):
        Address.parse(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        settings(url=f"https://user:{SECRET}@host:6334")
    assert "api_key_file" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:6334", "http://127.0.0.2:6334", "http://[::1]", "https://far.example"]
)
def test_a_key_goes_to_this_machine_or_over_tls(url: str) -> None:
    assert settings(url=url, api_key=SECRET).has_key


def test_a_key_does_not_cross_a_network_in_plaintext_unless_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    for key in ({"api_key": SECRET}, {"api_key_file": tmp_path / "key"}):
        with pytest.raises(ValidationError, match="plaintext") as caught:
            settings(url="http://far.example:6334", **key)
        assert SECRET not in str(caught.value)
        settings(url="http://far.example:6334", plaintext_key=True, **key)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"api_key": SECRET}, "api_key needs a url"),
        ({"replication_factor": 2}, "replication_factor needs a url"),
        ({"url": "localhost", "index_from": 500}, "index_from is for the embedded engine"),
        ({"url": "localhost", "ca_file": "ca.pem"}, "ca_file needs https"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**values)


def test_a_key_that_cannot_be_read_or_sent_is_refused_without_being_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="api_key_file"):
        QdrantRetriever(settings(url="localhost", api_key_file=tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="characters that no key has") as caught:
        QdrantRetriever(settings(url="localhost", api_key=f"{SECRET}\n{SECRET}"))
    assert SECRET not in str(caught.value)


def test_nothing_of_the_settings_shows_the_key() -> None:
    found = settings(url="localhost", api_key=SECRET)
    assert SECRET not in repr(found) + str(found) + found.model_dump_json(exclude={"embedder"})


def test_collections_are_named_by_prefix_collection_incarnation_and_stage() -> None:
    first = collection_name("tamis-", "docs", 1, Path("indexes/1f3a/dense"))
    assert first == "tamis-docs-1f3a-dense"
    odd = collection_name("tamis-", "docs", 1, Path("indexes/a b/é"))
    assert odd.startswith("tamis-")
    assert odd.isascii()
    assert len(collection_name("", "d" * 63, 1, Path("i" * 150) / "s")) <= 200


def test_every_generation_of_a_collection_has_a_name_of_its_own_wherever_its_folder_is() -> None:
    folders = [Path("indexes/1f3a/dense"), Path("indexes/1f3a/2/dense"), Path("indexes/1f3a/dense/2")]
    names = [collection_name("tamis-", "docs", generation, each) for each in folders for generation in (1, 2, 3)]
    assert len({*names}) == len(names)
    again = [
        collection_name("tamis-", "docs", 2, Path(*("9e0b" if part == "1f3a" else part for part in each.parts)))
        for each in folders
    ]
    assert not {*again} & {*names}


async def test_the_embedded_engine_refuses_further_vectors_at_the_start() -> None:
    embedder = HashEmbedder(HashEmbedder.Settings())
    for kind, values in (
        (QdrantSparse, {}),
        (QdrantTokens, {"embedder": embedder}),
        (QdrantDense, {"embedder": embedder, "vector": "more"}),
    ):
        stage = kind(kind.Settings(index=QdrantRetriever(settings()), **values))
        with pytest.raises(ConfigurationError, match="give the stage of `index` a url"):
            async with opened(stage):
                pass


async def test_two_stages_may_share_vectors_but_not_a_name() -> None:
    async with opened(QdrantRetriever(settings(url="localhost:1"))) as host:
        first, second = (QdrantSparse(QdrantSparse.Settings(index=host)) for _ in range(2))
        other = QdrantSparse(QdrantSparse.Settings(index=host, k1=2.0))
        await first.open()
        await second.open()
        with pytest.raises(ConfigurationError, match="other vectors are named 'words'"):
            await other.open()
        for each in (first, second, other):
            await each.close()


def test_a_stage_says_when_its_embedder_cannot_do_what_it_needs() -> None:
    class Plain(HashEmbedder):
        embed_tokens = None  # type: ignore[assignment]
        embed_sparse = None  # type: ignore[assignment]

    host = QdrantRetriever(settings(url="localhost:1"))
    with pytest.raises(ConfigurationError, match="no token vectors"):
        QdrantTokens(QdrantTokens.Settings(index=host, embedder=Plain(Plain.Settings())))


def test_the_readme_shows_every_setting_of_every_plugin() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", _readme(), re.MULTILINE | re.DOTALL)
    embedded, shown = (tomllib.loads(each) for each in blocks)
    plugins = {"qdrant": QdrantRetriever, "qdrant-dense": QdrantDense, "qdrant-sparse": QdrantSparse}
    plugins |= {"qdrant-tokens": QdrantTokens, "qdrant-learned-sparse": QdrantLearnedSparse}
    for table in shown["stages"].values():
        known = set(plugins[table["plugin"]].Settings.model_fields)
        only_embedded = {*embedded["stages"]["dense"]} - {"plugin", "embedder", "on_disk", "quantization"}
        assert {*table} - {"plugin"} == known - only_embedded - {"api_key"}


def test_the_configuration_of_the_containers_can_be_built() -> None:
    components = build(load(Path(__file__).parents[3] / "docker" / "tamis.qdrant.toml"))
    assert isinstance(components["words"], QdrantSparse)


def _readme() -> str:
    return (Path(__file__).parents[1] / "README.md").read_text()
