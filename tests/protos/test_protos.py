"""The contract: linted, compatible with what was released, and the checked-in stubs made from it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"
STUBS = ROOT / "clients" / "python"
BUF = Path(sysconfig.get_path("scripts")) / "buf"


def _buf(*arguments: str) -> None:
    ran = subprocess.run([BUF, *arguments], cwd=PROTOS, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_protos_follow_the_lint_rules() -> None:
    _buf("lint")


def test_the_protos_break_nothing_that_was_released() -> None:
    _buf("breaking", "--against", "baseline/tamis-v1.binpb")


def test_the_checked_in_stubs_are_what_the_protos_generate(tmp_path: Path) -> None:
    sources = sorted(each.relative_to(PROTOS).as_posix() for each in PROTOS.rglob("*.proto"))
    outputs = [f"--{kind}={tmp_path}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *outputs, *sources], check=True)
    generated = {each.relative_to(tmp_path): each.read_text() for each in tmp_path.rglob("*.py*")}
    checked_in = {each.relative_to(STUBS): each.read_text() for each in (STUBS / "tamis" / "v1").glob("*_pb2*")}
    if generated != checked_in:
        stale = sorted(
            str(each) for each in generated.keys() | checked_in.keys() if generated.get(each) != checked_in.get(each)
        )
        pytest.fail(f"run `make protos`: {', '.join(stale)}")
