"""The Go client, built with Debian's packages, against a real server."""

from __future__ import annotations

import filecmp
import os
import re
from pathlib import Path

import pytest

from tests.clients.conftest import CLIENTS, Run, Toolchain

pytestmark = pytest.mark.clients

PACKAGES = Path("/usr/share/gocode")
MODULE = "tamis.example/tamis"
NEEDS = (
    "go",  # golang-go
    PACKAGES / "src/google.golang.org/grpc",  # golang-google-grpc-dev
    PACKAGES / "src/google.golang.org/protobuf",  # golang-github-golang-protobuf-1-5-dev
    PACKAGES / "src/google.golang.org/genproto",  # golang-google-genproto-dev
)
GENERATORS = ("protoc", "protoc-gen-go", "protoc-gen-go-grpc")  # protobuf-compiler, protoc-gen-go-1-5, and by name


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain) -> dict[str, str]:
    """Debian's Go packages are for a GOPATH; the client is linked into one of its own."""
    toolchain(*NEEDS)
    path = tmp_path_factory.mktemp("gopath")
    here = path / "src" / MODULE
    here.parent.mkdir(parents=True)
    here.symlink_to(CLIENTS / "go")
    # gRPC 1.33 has retries behind this variable; since 1.40 they are on.
    return {"GO111MODULE": "off", "GOPATH": f"{path}{os.pathsep}{PACKAGES}", "GOFLAGS": "", "GRPC_GO_RETRY": "on"}


def test_its_code_is_formatted_and_vetted(run: Run, environment: dict[str, str]) -> None:
    assert run("go", "gofmt", "-l", *sorted(CLIENTS.glob("go/*.go")), "example", **environment) == ""
    assert run("go", "go", "vet", MODULE, f"{MODULE}/example", **environment) == ""


def test_its_own_tests_pass_against_a_real_server(run: Run, environment: dict[str, str], address: str) -> None:
    output = run("go", "go", "test", "-v", "-count=1", MODULE, TAMIS_ADDRESS=address, **environment)
    assert len(re.findall(r"^--- PASS: ", output, re.MULTILINE)) >= 24, output
    assert "--- SKIP" not in output


def test_its_example_shows_a_search(run: Run, environment: dict[str, str], address: str) -> None:
    output = run("go", "go", "run", f"{MODULE}/example", address, **environment)
    lines = output.splitlines()
    assert lines[0] == "documents: 3 written, 0 unchanged"
    assert re.search(r"^  revision 1, by \S+: leave, travel$", output, re.MULTILINE)
    assert re.search(r"^late +ran, 2 of 2$", output, re.MULTILINE)
    assert re.search(r"^completed: revision \d stands; answered$", output, re.MULTILINE)
    assert "leave, of 2024: Parental leave 👶🏽 is twelve weeks, paid in full." in output
    assert '  bytes 0 to 54, runes 0 to 48: from leave, "Parental leave 👶🏽 is twelve weeks, paid in full."' in lines
    assert lines[-1] == 'there is no collection "nowhere"; its reason is NOT_FOUND'
    assert "2009" not in output  # the filter


def test_its_stubs_are_those_of_the_protos(run: Run, toolchain: Toolchain, tmp_path: Path) -> None:
    toolchain(*GENERATORS)
    run("go", "./generate.sh", tmp_path)
    committed = CLIENTS / "go/tamisv1"
    names = sorted(each.name for each in committed.iterdir())
    assert names == sorted(each.name for each in tmp_path.iterdir())
    equal, *_ = filecmp.cmpfiles(committed, tmp_path, names, shallow=False)
    assert equal == names, "run `go generate` in clients/go"
