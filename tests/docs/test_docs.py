"""The documentation: links lead somewhere, examples parse, commands and reasons exist."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tamis import errors
from tamis.cli.app import app
from tamis.config import Config
from tamis.context import Call
from tamis.hosting.settings import PluginServerConfig
from tamis.model import Passage, Query
from tamis_remote.settings import RemoteSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in ("node_modules", "build") for part in page.relative_to(ROOT).parts)
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def _commands() -> Any:
    """Every command by its name; half a second to make."""
    return typer.main.get_command(app).commands  # type: ignore[attr-defined]


def _blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text()) if found == language]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_example_can_be_parsed(page: Path) -> None:
    for text in _blocks(page, "python"):
        ast.parse(text)
    for text in _blocks(page, "toml"):
        tomllib.loads(text)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_shown_exists_with_its_options(page: Path) -> None:
    commands = _commands()
    for text in _blocks(page, "console"):
        for line in re.findall(r"^\$ tamis (.*)$", text, re.MULTILINE):
            name, *words = line.split("|")[0].split()
            if name.startswith("-"):
                continue
            assert name in commands, line
            command = commands[name]
            if hasattr(command, "commands"):
                command = command.commands[words[0]]
            known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
            assert {word for word in words if re.fullmatch(r"--[a-z-]+", word)} <= known, line


@pytest.mark.parametrize("name", ["server", "planner", "journal", "tenancy", "ingest"])
def test_every_setting_stands_in_the_page_for_operators_and_no_other(name: str) -> None:
    page = (ROOT / "docs/operate.md").read_text().partition("## Seeing")[0]
    table = page.partition(f"\n`[{name}]`")[2].partition("\n`[")[0]
    known = Config.model_fields[name].annotation.model_fields  # type: ignore[union-attr]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == known.keys()


def test_every_setting_of_a_plugin_server_and_of_remote_plugins_is_told() -> None:
    page = (ROOT / "docs/remote-plugins.md").read_text().partition("\n`[plugin_server]`")[2].partition("\n## ")[0]
    readme = (ROOT / "plugins/tamis_remote/README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    for text, known in ((page, PluginServerConfig), (readme, RemoteSettings)):
        told = [
            cell for row in re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE) for cell in re.findall(r"`(\w+)`", row)
        ]
        assert set(told) == known.model_fields.keys()


def test_the_quickstart_lists_every_reason() -> None:
    reasons = {each.reason for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "reason")}
    untold = (errors.ConfigurationError, errors.Aborted, errors.Superseded, errors.Unusable)
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/quickstart.md").read_text(), re.MULTILINE))
    assert listed == reasons - {each.reason for each in untold}


async def test_the_plugin_on_the_first_page_reranks() -> None:
    source = _blocks(ROOT / "README.md", "python")[0]
    module: dict[str, Any] = {"__name__": "documented_plugin"}
    exec(compile(source, "README.md", "exec", dont_inherit=True), module)
    reranker = module["ShortestFirst"](module["ShortestFirst"].Settings())
    passages = [Passage(str(size), str(size), 1, "x" * size) for size in (3, 1, 2)]
    orders = [each.order async for each in reranker.rerank(Query("q"), passages, top_n=3, call=Call())]
    assert orders[-1] == (1, 2, 0)


def test_every_test_that_the_promises_name_exists() -> None:
    tests = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/test_*.py")]
    known = {
        name for test in tests for name in re.findall(r"^(?:async )?def (test_\w+)", test.read_text(), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/durability.md").read_text()))
    assert len(named) > 20
    assert named <= known
