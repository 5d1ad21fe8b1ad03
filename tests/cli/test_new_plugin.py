"""`tamis plugin`: a package to begin with, and the list of what is installed."""

from __future__ import annotations

import ast
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tamis.cli.plugin import License, PluginKind
from tamis.cli.scaffold import KINDS, LICENSES, Names, Project, problem_of, write
from tamis.config import parse
from tamis.pipeline import Pipelines
from tamis.plugins import GROUPS, build


@pytest.fixture(params=KINDS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Project, Path]:
    """A new package of each kind, and where it is."""
    project = Project(Names("acme-plugin"), KINDS[request.param], author="Acme")
    write(project, tmp_path / "acme-plugin")
    return project, tmp_path / "acme-plugin"


def test_a_new_package_is_told_as_json_and_is_there_whole(tamis: Any, tmp_path: Path) -> None:
    ran = tamis("plugin", "new", "my-reranker", "--directory", tmp_path / "deep", "--license", "Apache-2.0", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    folder = Path(told["folder"])
    assert folder == tmp_path / "deep" / "my-reranker"
    assert sorted(told["files"]) == sorted(
        each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()
    )
    assert told["entry_point"] == {"group": "tamis.rerankers", "name": "my-reranker", "value": "my_reranker:MyReranker"}
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["my-reranker"]


def test_what_is_there_already_stays_as_it_is(tamis: Any, tmp_path: Path) -> None:
    (tmp_path / "my-reranker").mkdir()
    (tmp_path / "my-reranker" / "mine.txt").write_text("mine")
    ran = tamis("plugin", "new", "my-reranker", "--directory", tmp_path)
    assert (ran.returncode, ran.stdout) == (5, "")
    assert "is there already" in ran.stderr
    assert [each.name for each in (tmp_path / "my-reranker").iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_written_is_said_to_be_so(tamis: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = tamis("plugin", "new", "my-reranker", "--directory", tmp_path / "file")
    assert ran.returncode == 1
    assert "cannot be written" in ran.stderr


def test_a_wrong_name_is_wrong_usage_and_a_right_one_is_proposed(tamis: Any, tmp_path: Path) -> None:
    ran = tamis("plugin", "new", "My Reranker", "--directory", tmp_path)
    assert ran.returncode == 2
    assert "'my-reranker' would do" in " ".join(ran.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("MyReranker", "'my-reranker' would do"),
        ("2nd", "'nd' would do"),
        ("-", "is not lower-case"),
        ("a" * 61, "is longer than 60"),
        ("json", "'acme-json' would do"),
        ("class", "'acme-class' would do"),
        ("tamis-own", "would be in the way"),
        ("late-interaction", "tamis 0.1.0 has a plugin 'late-interaction'"),
    ],
)
def test_names_that_would_be_in_the_way_are_refused(name: str, problem: str) -> None:
    assert problem in problem_of(name, "tamis.rerankers")


def test_a_name_may_be_that_of_a_plugin_of_another_kind() -> None:
    assert problem_of("late-interaction", "tamis.retrievers") == ""


def test_the_command_knows_every_kind_and_every_licence() -> None:
    assert [each.value for each in PluginKind] == list(KINDS)
    assert [each.value for each in License] == list(LICENSES)


def test_every_group_has_a_kind_to_begin_with() -> None:
    assert {each.group for each in KINDS.values()} == GROUPS.keys()


def test_a_new_package_is_valid_python_and_declares_what_it_has(written: tuple[Project, Path]) -> None:
    project, folder = written
    for each in folder.rglob("*.py"):
        ast.parse(each.read_text())
    declared = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert declared["entry-points"] == {project.kind.group: {"acme-plugin": "acme_plugin:AcmePlugin"}}
    assert (folder / "src" / "acme_plugin" / "py.typed").exists()
    assert f"class AcmePlugin({_base(project.kind.name)})" in (folder / "src/acme_plugin/plugin.py").read_text()
    assert "$" not in "".join(each.read_text() for each in folder.rglob("*.py"))


def test_the_configuration_in_its_readme_is_one_that_a_server_takes(
    written: tuple[Project, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, folder = written
    info = folder / "src" / "acme_plugin-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugin\nVersion: 0.1.0\n")
    points = f"[{project.kind.group}]\nacme-plugin = {project.entry_point}\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(folder / "src")
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(__import__("sys").modules, "acme_plugin", raising=False)
        patch.delitem(__import__("sys").modules, "acme_plugin.plugin", raising=False)
        usage = (folder / "README.md").read_text().partition("```toml\n")[2].partition("```")[0]
        config = parse(usage)
        components = build(config)
        if config.pipelines:
            assert Pipelines(config, components).list()
    assert "mine" in components or project.kind.name == "read"


def _base(kind: str) -> str:
    bases = {
        "rerank": "PointwiseReranker",
        "rerank-listwise": "ListwiseReranker",
        "context": "ContextBuilder",
        "generate": "Generator",
        "embed": "Embedder",
        "llm": "Llm",
        "retrieve": "Retriever",
        "chunk": "Chunker",
        "read": "Reader",
    }
    return bases[kind]
