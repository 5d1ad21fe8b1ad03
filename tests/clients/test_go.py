"""The Go client, built with Debian's packages, against a real server."""

from __future__ import annotations

import filecmp
import os
import re
from pathlib import Path

import pytest

from tests.clients.conftest import CLIENTS, Run, Toolchain, check_example

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
    # gRPC 1.33 has retries behind this variable; since 1.40 they are on. Trimmed of its folder, what was built is found
    # again by the next run.
    packages = f"{path}{os.pathsep}{PACKAGES}"
    return {"GO111MODULE": "off", "GOPATH": packages, "GOFLAGS": "-trimpath", "GRPC_GO_RETRY": "on"}


def test_its_code_is_formatted_and_vetted(run: Run, environment: dict[str, str]) -> None:
    assert run("go", "gofmt", "-l", *sorted(CLIENTS.glob("go/*.go")), "example", **environment) == ""
    assert run("go", "go", "vet", MODULE, f"{MODULE}/example", **environment) == ""


def test_its_own_tests_pass_against_a_real_server(run: Run, environment: dict[str, str], address: str) -> None:
    output = run("go", "go", "test", "-v", "-count=1", "-vet=off", MODULE, TAMIS_ADDRESS=address, **environment)
    assert len(re.findall(r"^--- PASS: ", output, re.MULTILINE)) >= 30, output
    assert "--- SKIP" not in output


def test_its_example_shows_a_search(run: Run, environment: dict[str, str], address: str) -> None:
    output = run("go", "go", "run", f"{MODULE}/example", address, **environment)
    check_example(output, "runes 0 to 48")


def test_its_readme_compiles_and_its_first_program_runs(
    run: Run, environment: dict[str, str], address: str, tmp_path: Path
) -> None:
    first, *parts = re.findall(r"^```go\n(.*?)^```$", (CLIENTS / "go/README.md").read_text(), re.MULTILINE | re.DOTALL)
    stream, filters, errors = parts
    program = tmp_path / "main.go"
    program.write_text(first.replace("127.0.0.1:7601", address).replace("handbook", "go-readme"))
    imports = "".join(f'"{each}"\n' for each in ("context", "errors", "fmt", "io", "time", MODULE, f"{MODULE}/tamisv1"))
    others = tmp_path / "others.go"
    others.write_text(
        f"package main\nimport (\n{imports})\n"
        f"func streamed(ctx context.Context, client *tamis.Client) error {{\n{stream}\nreturn nil\n}}\n"
        f"func filtered() *tamisv1.Filter {{\n{filters}\nreturn filter\n}}\n"
        f"func failed(err error) {{\n{errors}\n}}\n"
    )
    said = run("go", "go", "run", program, others, **environment)
    assert (
        said == "leave Parental leave is twelve weeks, paid in full.\nParental leave is twelve weeks, paid in full.\n"
    )


def test_its_stubs_are_those_of_the_protos(run: Run, toolchain: Toolchain, tmp_path: Path) -> None:
    toolchain(*GENERATORS)
    run("go", "./generate.sh", tmp_path)
    committed = CLIENTS / "go/tamisv1"
    names = sorted(each.name for each in committed.iterdir())
    assert names == sorted(each.name for each in tmp_path.iterdir())
    equal, *_ = filecmp.cmpfiles(committed, tmp_path, names, shallow=False)
    assert equal == names, "run `go generate` in clients/go"
