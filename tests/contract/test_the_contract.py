"""The contract itself: new packages keep it, and each of its tests rejects a plugin that is broken in that.

One run of pytest, in a process of its own, tests them all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tamis.cli.scaffold import KINDS, Names, Project, write
from tamis.testing.contract.roles import CONTRACTS

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
BROKEN = ROOT / "tests" / "broken"


def installed(project: Path) -> Path:
    """The package's source folder, with the metadata that installing it would write."""
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    info = project / "src" / f"{declared['name'].replace('-', '_')}-{declared['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n"
    (info / "METADATA").write_text(metadata)
    ((group, points),) = declared["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return info.parent


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A new package of each kind."""
    folder = tmp_path_factory.mktemp("projects")
    for name, kind in KINDS.items():
        write(Project(Names(f"my-{name}"), kind), folder / f"my-{name}")
    return {name: folder / f"my-{name}" for name in KINDS}


@pytest.fixture(scope="module")
def reports(projects: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Sequence[dict[str, Any]]:
    """What became of each test, of the new packages and of the broken plugins."""
    told = tmp_path_factory.mktemp("reports") / "reports.jsonl"
    paths = [*(str(installed(each)) for each in projects.values()), str(BROKEN)]
    tests = [str(each / "tests") for each in projects.values()]
    options = ["-p", "reporting", "-o", "python_files=test_*.py cases.py", "--import-mode=importlib", "-q"]
    options += ["-c", os.devnull, f"--rootdir={told.parent}", f"--confcutdir={BROKEN}"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests, str(BROKEN / "cases.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "REPORTS": str(told)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return [json.loads(line) for line in told.read_text().splitlines()]


def _of_broken(reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in reports if Path(each["file"]).parent == BROKEN]


def test_new_packages_of_every_kind_pass_their_tests(
    reports: Sequence[dict[str, Any]], projects: dict[str, Path]
) -> None:
    for project in projects.values():
        of_it = [each for each in reports if project in Path(each["file"]).parents]
        assert [each["text"] for each in of_it if each["outcome"] == "failed"] == []
        assert {Path(each["file"]).stem for each in of_it} == {"test_contract", "test_entry_point", "test_plugin"}
    assert sum(projects["rerank"] in Path(each["file"]).parents for each in reports) > 30


def test_every_broken_plugin_is_rejected_by_the_test_of_what_it_breaks(reports: Sequence[dict[str, Any]]) -> None:
    outcomes = defaultdict(set)
    for each in _of_broken(reports):
        outcomes[each["test"].partition("[")[0]].add((each["outcome"], each["when"]))
    assert [test for test, found in outcomes.items() if ("failed", "call") not in found] == []


def test_every_test_of_the_contract_rejects_a_broken_plugin(reports: Sequence[dict[str, Any]]) -> None:
    rejecting = {each["name"] for each in _of_broken(reports)}
    for contract in CONTRACTS.values():
        assert {name for name in dir(contract) if name.startswith("test_")} <= rejecting, contract.__name__


def test_every_rejection_says_what_is_wanted_and_quotes_where_it_is_written(reports: Sequence[dict[str, Any]]) -> None:
    rejections = [each for each in _of_broken(reports) if each["outcome"] == "failed"]
    for each in rejections:
        assert " says:\n    " in each["wanted"] or "See docs/" in each["wanted"], each["test"]
