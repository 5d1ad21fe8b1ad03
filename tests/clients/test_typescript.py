"""The TypeScript client against a real server: its own tests, its example, its package, its README."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

pytestmark = pytest.mark.clients

Run: TypeAlias = Callable[..., str]

_CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
_PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
_BLOCK = re.compile(r"^```[jt]s\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _is_compiled(compiled_typescript: Path) -> None:
    assert compiled_typescript.is_dir()


def test_it_is_typed_and_formatted(run: Run) -> None:
    run("typescript", "npm", "run", "--silent", "check")


def test_the_checked_in_stubs_are_what_the_protos_generate(run: Run, tmp_path: Path) -> None:
    run("typescript", sys.executable, "generate.py", tmp_path)
    generated = {each.relative_to(tmp_path): each.read_text() for each in tmp_path.rglob("*.ts")}
    checked_in = {
        each.relative_to(_CLIENT): each.read_text()
        for folder in ("src/gen", "examples/gen")
        for each in (_CLIENT / folder).rglob("*.ts")
    }
    stale = [str(each) for each in generated.keys() | checked_in.keys() if generated.get(each) != checked_in.get(each)]
    assert not stale, "run `npm run generate`"


def test_the_lock_file_names_no_registry() -> None:
    locked = json.loads((_CLIENT / "package-lock.json").read_text())
    assert len(locked["packages"]) > 5
    assert not [name for name, package in locked["packages"].items() if "resolved" in package]


def test_its_own_tests_pass_against_a_real_server(run: Run, address: str) -> None:
    tests = sorted((_CLIENT / "build/tests").glob("*.test.js"))
    said = run("typescript", "node", "--test", "--test-reporter=tap", *tests, TAMIS_ADDRESS=address)
    assert re.search(r"^# pass [1-9]\d+$", said, re.MULTILINE), said
    assert re.search(r"^# skipped 0$", said, re.MULTILINE), said


def test_the_example_prints_the_stream_the_stages_and_what_an_error_is_about(run: Run, address: str) -> None:
    said = run("typescript", "node", "build/examples/search.js", TAMIS_ADDRESS=address)
    assert "3 documents can be found" in said
    revisions = re.findall(r"^revision (\d+), by \S+$", said, re.MULTILINE)
    assert revisions == [str(number) for number in range(1, len(revisions) + 1)] != []
    assert "travel" not in said, "the filter holds"
    assert "leave, bytes 20-65, slice(16, 61):\n  Parental leave is twelve weeks, paid in full.\n" in said
    assert "\nanswer: Parental leave is twelve weeks, paid in full. (ANSWERED)\n" in said
    assert re.search(r"^  bm25: RAN, 2 of 50, [\d.]+ of \d+ ms$", said, re.MULTILINE)
    assert "INVALID_EXPRESSION: " in said


def test_the_readme_and_the_page_on_clients_run_in_an_empty_project(run: Run, address: str, tmp_path: Path) -> None:
    packed = json.loads(run("typescript", "npm", "pack", "--silent", "--json", "--pack-destination", tmp_path))[0]
    names = {each["path"] for each in packed["files"]}
    assert {"README.md", "LICENSE", "package.json", "dist/index.js", "dist/index.d.ts", "dist/v1.d.ts"} <= names
    assert not [each for each in names if not each.startswith("dist/") and each.count("/")]
    (tmp_path / "package.json").write_text('{"type": "module"}')
    quiet = ("--silent", "--no-audit", "--no-fund", "--prefer-offline")
    run("typescript", "npm", "install", "--prefix", tmp_path, *quiet, tmp_path / packed["filename"])
    blocks = _BLOCK.findall((_CLIENT / "README.md").read_text())
    assert len(blocks) > 3
    (block,) = _BLOCK.findall(_PAGE.read_text())
    blocks.append(block)
    for number, block in enumerate(blocks):
        (tmp_path / f"block{number}.ts").write_text(block.replace("127.0.0.1:7601", address))
    options = ("--strict", "--module", "node20", "--target", "es2022", "--typeRoots", _CLIENT / "node_modules/@types")
    sources = sorted(tmp_path.glob("block*.ts"))
    run(
        "typescript", "node_modules/.bin/tsc", "--ignoreConfig", *options, "--types", "node", "--skipLibCheck", *sources
    )
    said = [run("typescript", "node", tmp_path / f"block{number}.js") for number in range(len(blocks))]
    assert "leave" in said[0]
    assert "RAN" in said[0]
    assert "[ 'Parental leave is twelve weeks, paid in full.' ]" in said[-1]
