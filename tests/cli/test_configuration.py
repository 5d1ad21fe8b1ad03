"""What the command says of configurations and plugins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_the_default_configuration_is_one_to_begin_with(tamis: Any, tmp_path: Path) -> None:
    printed = tamis("check", "--print-default")
    (tmp_path / "tamis.toml").write_text(printed.stdout)
    ran = tamis("check", "--config", tmp_path / "tamis.toml")
    assert ran.returncode == 0, ran.stderr
    assert "all well" in ran.stdout


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("[stages.bm25\n", ":1:", "Expected"),
        ('[stages.bm25]\nplugin = "tantivi"\n', ":2:1:", "did you mean 'tantivy'"),
        ('[stages.bm25]\nplugin = "tantivy"\ntitel_boost = 3\n', ":3:1:", "title_boost"),
        ('[stages.bm25]\nplugin = "tantivy"\n[pipelines.p]\nexpression = "bm25 >"\n', ":4:1:", "column 6"),
        ('[server]\nlisten = "0.0.0.0:7601"\n', ":2:1:", "loopback"),
    ],
)
def test_a_broken_configuration_is_refused_with_its_place(
    tamis: Any, tmp_path: Path, text: str, where: str, message: str
) -> None:
    (tmp_path / "tamis.toml").write_text(text)
    for command in ("check", "serve"):
        ran = tamis(command, "--config", tmp_path / "tamis.toml")
        assert ran.returncode == 3, ran.stderr
        assert f"tamis.toml{where}" in ran.stderr
        assert message in ran.stderr


def test_a_file_that_is_not_there_is_a_configuration_error(tamis: Any, tmp_path: Path) -> None:
    ran = tamis("check", "--config", tmp_path / "nope.toml")
    assert ran.returncode == 3
    assert "nope.toml" in ran.stderr


def test_plugins_are_listed_with_their_origin_and_settings(tamis: Any) -> None:
    found = {each["name"]: each for each in json.loads(tamis("plugins", "--json").stdout)}
    assert {"tantivy", "qdrant", "sentence-transformers", "late-interaction", "extractive"} <= set(found)
    assert found["tantivy"]["distribution"] == "tamis"
    assert "title_boost" in found["tantivy"]["settings_schema"]["properties"]
    assert all(not each["problem"] for each in found.values())


def test_pipelines_print_back_in_their_canonical_form(tamis: Any, config: Path) -> None:
    (found,) = json.loads(tamis("pipelines", "--config", config, "--json").stdout)
    assert found["expression"] == "bm25 % 50 >> answer"
