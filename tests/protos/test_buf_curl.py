"""A caller with nothing but the address: `buf curl` by reflection."""

from __future__ import annotations

import asyncio
import json
import sysconfig
from pathlib import Path
from typing import Any

from tamis.config import parse
from tamis.rpc.app import running

BUF = Path(sysconfig.get_path("scripts")) / "buf"
CONFIG = """
[server]
listen = "127.0.0.1:0"
data_directory = "{directory}"

[stages.bm25]
plugin = "tantivy"

[pipelines.default]
expression = "bm25"
"""


async def _curl(address: str, method: str, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """The responses of a call, which buf prints one after the other."""
    process = await asyncio.create_subprocess_exec(
        BUF,
        "curl",
        "--protocol=grpc",
        "--http2-prior-knowledge",
        "--data=@-",
        f"http://{address}/tamis.v1.{method}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate("\n".join(map(json.dumps, messages)).encode())
    assert process.returncode == 0, err.decode()
    decoder, text, found = json.JSONDecoder(), out.decode().strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].strip()
    return found


async def test_buf_curl_indexes_and_finds_by_reflection_alone(tmp_path: Path) -> None:
    async with running(parse(CONFIG.format(directory=tmp_path))) as server:
        await _curl(server.address, "IndexService/CreateCollection", {"collection": "docs"})
        documents = [{"id": "sieve", "text": "A drum sieve makes a sauce smooth."}]
        (written,) = await _curl(
            server.address, "IndexService/WriteDocuments", {"collection": "docs", "documents": documents}
        )
        assert written["writtenCount"] == 1
        await _curl(server.address, "IndexService/WaitIndexed", {"collection": "docs"})
        (answer,) = await _curl(server.address, "SearchService/Search", {"collection": "docs", "query": "sauce"})
        assert [hit["passage"]["documentId"] for hit in answer["hits"]] == ["sieve"]
        events = await _curl(server.address, "SearchService/StreamSearch", {"collection": "docs", "query": "sauce"})
        assert [next(iter(each)) for each in events] == ["stageCompleted", "hitsRevised", "completed"]
