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
    found = {each["name"]: each for each in json.loads(tamis("plugin", "list", "--json").stdout)}
    assert {"tantivy", "qdrant", "sentence-transformers", "late-interaction", "extractive"} <= set(found)
    assert found["tantivy"]["distribution"] == "tamis"
    assert "title_boost" in found["tantivy"]["settings_schema"]["properties"]
    assert all(not each["problem"] for each in found.values())


def test_pipelines_print_back_in_their_canonical_form(tamis: Any, config: Path) -> None:
    (found,) = json.loads(tamis("pipelines", "--config", config, "--json").stdout)
    assert found["expression"] == "bm25 % 50 >> answer"


@pytest.mark.parametrize("preset", ["default", "fast", "low-latency", "batch"])
def test_a_preset_is_checked_and_printed_like_a_file(tamis: Any, tmp_path: Path, preset: str) -> None:
    assert "all well" in tamis("check", "--preset", preset).stdout
    (tmp_path / "tamis.toml").write_text(tamis("check", "--print-default", "--preset", preset).stdout)
    ran = tamis("check", "--config", tmp_path / "tamis.toml")
    assert ran.returncode == 0, ran.stderr


def test_quality_does_not_start_without_trained_weights_and_says_how_to_get_them(tamis: Any, tmp_path: Path) -> None:
    for more, how in (([], "hf download"), (["--set", f"cross.model={tmp_path}"], "folder with a config.json")):
        ran = tamis("serve", "--preset", "quality", *more, HF_HOME=str(tmp_path))
        assert ran.returncode == 3
        assert "[stages.cross] model" in ran.stderr
        assert how in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "best"], "there are: default, fast, hosted, low-latency, quality, batch, offline"),
        (["--preset", "fast", "--config", "tamis.toml"], "exclude each other"),
        (["--preset", "fast", "--set", "cross.model=x"], "no model or stage named 'cross'"),
        (["--preset", "hosted"], "[stages.reranker] https://api.cohere.com wants a key"),
        (
            ["--preset", "hosted", "--set", "reranker.api_key_file=gone"],
            "api_key_file: gone cannot be read",
        ),
        (["--preset", "fast", "--set", "dense"], "write NAME.SETTING=VALUE"),
        (["--preset", "fast", "--set", "dense.plugin=3"], "[stages.dense] plugin: Input should be a valid string"),
        (["--preset", "fast", "--set", "minilm.batch_token_count=1"], "[models.minilm] batch_token_count"),
    ],
)
def test_presets_and_settings_that_make_no_sense_are_refused(tamis: Any, arguments: list[str], message: str) -> None:
    ran = tamis("serve", *arguments)
    assert ran.returncode == 3
    assert message in ran.stderr


def test_the_doctor_finds_pitfalls_and_ends_well_unless_it_is_strict(tamis: Any, tmp_path: Path) -> None:
    text = '[stages.bm25]\nplugin = "tantivy"\n[pipelines.default]\nexpression = "bm25 % 1"\n'
    (tmp_path / "tamis.toml").write_text(text)
    arguments = ["doctor", "--config", tmp_path / "tamis.toml"]
    ran = tamis(*arguments)
    assert ran.returncode == 0, ran.stderr
    for part in ("keeps one hit", "tamis.toml:4", "why:", "mend:", "0 problems, 1 warnings"):
        assert part in ran.stdout
    strict = tamis(*arguments, "--strict", "--json")
    assert strict.returncode == 1
    assert "keeps-one" in [each["rule"] for each in json.loads(strict.stdout)]


def test_the_doctor_tells_why_a_configuration_cannot_start(tamis: Any, tmp_path: Path) -> None:
    ran = tamis("doctor", "--preset", "quality", "--json", HF_HOME=str(tmp_path))
    assert ran.returncode == 3
    (finding,) = (each for each in json.loads(ran.stdout) if each["severity"] == "problem")
    assert finding["rule"] == "cannot-start"
    assert "hf download" in finding["message"]


@pytest.mark.parametrize("preset", ["default", "fast", "low-latency", "batch"])
def test_the_doctor_finds_nothing_wrong_with_what_is_shipped(tamis: Any, tmp_path: Path, preset: str) -> None:
    (tmp_path / "tamis.toml").write_text(tamis("check", "--print-default", "--preset", preset).stdout)
    ran = tamis("doctor", "--config", tmp_path / "tamis.toml", "--json")
    assert ran.returncode == 0, ran.stdout
    assert not [each for each in json.loads(ran.stdout) if each["severity"] == "warning"]


def test_the_doctor_tells_where_a_model_computes(tamis: Any, tmp_path: Path) -> None:
    text = '[models.small]\nplugin = "sentence-transformers"\nbatch_token_count = 1024\n'
    (tmp_path / "tamis.toml").write_text(text)
    arguments = ("doctor", "--config", tmp_path / "tamis.toml", "--json")
    for cache, expected in (("", "runs in torch, in batches of 1024 tokens"), (str(tmp_path / "cache"), "first start")):
        found = json.loads(tamis(*arguments, "--cache-directory", cache).stdout)
        (told,) = [each["message"] for each in found if each["rule"] == "runs"]
        assert told.startswith("[models.small] ")
        assert expected in told
    assert not (tmp_path / "cache").exists()
