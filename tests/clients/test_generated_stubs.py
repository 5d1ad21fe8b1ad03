"""Stubs for languages that have no client of ours, by the template in protos/."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.clients

PROTOS = Path(__file__).parents[2] / "protos"
BUF = Path(sysconfig.get_path("scripts")) / "buf"
SERVICES = ("catalog", "index", "plugin", "search")


def _run(folder: Path, *command: str | Path) -> str:
    ran = subprocess.run(
        list(map(str, command)), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory, toolchain: Callable[..., None]) -> Path:
    """What the template makes, in a folder for each language."""
    toolchain("protoc", "grpc_cpp_plugin", "grpc_php_plugin", "grpc_ruby_plugin")
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PROTOS, folder / "protos")
    _run(folder / "protos", BUF, "generate")
    return folder / "build" / "stubs"


def test_every_language_of_the_template_gets_every_message_and_service(stubs: Path) -> None:
    made = {each.relative_to(stubs).as_posix() for each in stubs.rglob("*.*")}
    assert {f"cpp/tamis/v1/{each}_service.grpc.pb.h" for each in SERVICES} <= made
    assert {f"ruby/tamis/v1/{each}_service_services_pb.rb" for each in SERVICES} <= made
    assert {f"php/Tamis/V1/{each.title()}ServiceClient.php" for each in SERVICES} <= made
    assert {f"csharp/{each.title()}Service.cs" for each in SERVICES} <= made
    assert {f"java/com/tamis/v1/{each}" for each in ("Passage.java", "PassageKt.kt")} <= made
    assert "objc/tamis/v1/Passage.pbobjc.h" in made


def test_the_stubs_for_cpp_compile(stubs: Path, toolchain: Callable[..., None]) -> None:
    toolchain("g++", "/usr/include/grpcpp/grpcpp.h")
    program = stubs / "search.cc"
    program.write_text(
        '#include "tamis/v1/search_service.grpc.pb.h"\n'
        "tamis::v1::StreamSearchRequest request(tamis::v1::SearchService::Stub& stub, grpc::ClientContext& context) {\n"
        "  tamis::v1::StreamSearchRequest asked;\n"
        '  asked.set_query("parental leave");\n'
        "  tamis::v1::StreamSearchResponse event;\n"
        "  auto events = stub.StreamSearch(&context, asked);\n"
        "  while (events->Read(&event)) event.hits_revised().revision();\n"
        "  return asked;\n"
        "}\n"
    )
    _run(stubs, "g++", "-std=c++17", "-fsyntax-only", "-Wall", "-Icpp", program)


def test_the_stubs_for_ruby_and_php_can_be_read(stubs: Path, toolchain: Callable[..., None]) -> None:
    toolchain("ruby", "php")
    sources = sorted((stubs / "ruby").rglob("*.rb"))
    for each in sources:
        assert _run(stubs, "ruby", "-c", each) == "Syntax OK\n"
    for name in SERVICES:
        _run(stubs, "php", "-l", f"php/Tamis/V1/{name.title()}ServiceClient.php")
