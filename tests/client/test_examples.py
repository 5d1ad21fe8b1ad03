"""Every Python example that uses the client runs, in the order of its page, against a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked_server import ForkedServer
from real_server import TEXTS, fakes

from tamis.client import Client, Document

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    "README.md",
    "clients/python/README.md",
    "docs/documents.md",
    "docs/quickstart.md",
    "docs/rerank.md",
    "docs/search.md",
]
STAGES = fakes() + '[stages.late]\nplugin = "fake-words"\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedServer]:
    with ForkedServer(tmp_path_factory.mktemp("server"), STAGES).running() as found:
        with Client(found.address, timeout=30) as client:
            client.create_collection("docs")
            documents = [Document(id, text) for id, text in {**TEXTS, "leave": "Parental leave."}.items()]
            client.wait_indexed("docs", client.write("docs", documents).sequence)
        yield found


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page: str, server: ForkedServer, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "example"}
    with Client(server.address, timeout=30) as client:
        for each in client.collections():
            if each.id == "handbook":
                client.delete_collection("handbook")
        if page == "docs/documents.md":  # which has made it by the command
            client.create_collection("handbook")
    blocks = [each for each in BLOCK.findall((ROOT / page).read_text()) if "tamis.client" in each]
    assert blocks
    for each in blocks:
        source = each.replace("127.0.0.1:7601", server.address)
        exec(compile(source, page, "exec", dont_inherit=True), names)
    printed = capsys.readouterr().out
    for wanted in WANTED[page]:
        assert wanted in printed


WANTED = {
    "README.md": ["1 words ['leave']"],
    "clients/python/README.md": [
        "leave 2.0 logit Parental leave is twelve weeks, paid in full.",
        "['leave']",
        "1 words ['leave']",
        "answered",
        "\nleave travel\n",
        "travel {'",
        "Facet(field='lang'",
        "INVALID_EXPRESSION [('pipeline'",
        "document nobody",
    ],
    "docs/documents.md": ["1 0"],
    "docs/quickstart.md": ["1 words ['leave']"],
    "docs/rerank.md": ["Usage(pair_count="],
    "docs/search.md": ["0 ['leave']", "1 ['leave']"],
}


def test_every_page_with_such_an_example_is_among_them() -> None:
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/*.md"), ROOT / "README.md"]
    pages.append(ROOT / "clients/python/README.md")
    found = {
        page.relative_to(ROOT).as_posix()
        for page in pages
        if any("tamis.client" in block for block in BLOCK.findall(page.read_text()))
    }
    assert found == set(PAGES)
