"""The Java client, built with Debian's packages, against a real server."""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.conftest import CLIENTS, Run, Toolchain, check_example

pytestmark = pytest.mark.clients

SOURCES = CLIENTS / "java/src"
PROTOS = CLIENTS.parent / "protos"
PLUGIN = Path("/usr/bin/grpc_java_plugin")  # protobuf-compiler-grpc-java-plugin
PACKAGES = {
    "libgrpc-java": "grpc-api grpc-context grpc-core grpc-netty grpc-protobuf grpc-protobuf-lite grpc-stub",
    "libnetty-java": "netty-buffer netty-codec netty-codec-http netty-codec-http2 netty-codec-socks netty-common "
    "netty-handler netty-handler-proxy netty-resolver netty-transport",
    "libperfmark-java": "perfmark-api",
    "libprotobuf-java": "protobuf",
    "libgoogle-common-protos-java": "proto-google-common-protos",
    "libguava-java": "guava",
    "libgeronimo-annotation-1.3-spec-java": "geronimo-annotation-1.3-spec",
    "junit5": "junit-platform-console-standalone",
}
JARS = [Path(f"/usr/share/java/{name}.jar") for names in PACKAGES.values() for name in names.split()]


class Built(NamedTuple):
    """The class path of the client with its tests and example."""

    path: str

    def run(self, run: Run, main: str, *arguments: str, **environment: str) -> str:
        return run("java", "java", "-Dfile.encoding=UTF-8", "-cp", self.path, main, *arguments, **environment)


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, toolchain: Toolchain, run: Run
) -> Built:
    """As the pom does it, which needs Maven's registry. What is generated is kept from one run to the next."""
    toolchain("javac", "java", "protoc", PLUGIN, *JARS)
    protos = sorted(each for each in PROTOS.glob("tamis/v1/*.proto") if each.name != "plugin_service.proto")
    # Debian's google.rpc is older than ErrorInfo.
    google = Path(str(importlib.resources.files("google.rpc") / "error_details.proto"))
    key = hashlib.sha256(b"".join(each.read_bytes() for each in (*protos, google, PLUGIN, *JARS))).hexdigest()
    generated = pytestconfig.cache.mkdir(f"java-{key[:16]}")
    stubs, classes = tmp_path_factory.mktemp("stubs"), tmp_path_factory.mktemp("classes")
    path = os.pathsep.join(map(str, [classes, generated, *JARS]))
    quick = ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"]  # it runs once
    compile_ = ["javac", *quick, "-encoding", "UTF-8", "-proc:none", "-cp", path]
    complete = generated / "complete"
    if not complete.exists():
        generate = ["protoc", "-I", PROTOS, f"--java_out={stubs}"]
        run("java", *generate, f"--plugin=protoc-gen-grpc-java={PLUGIN}", f"--grpc-java_out={stubs}", *protos)
        run("java", "protoc", "-I", google.parents[2], f"--java_out={stubs}", google)
        run("java", *compile_, "-d", generated, "-nowarn", *sorted(stubs.rglob("*.java")))
        complete.touch()
    sources = sorted(SOURCES.rglob("*.java"))
    assert run("java", *compile_, "-d", classes, "-Xlint:all,-serial", "-Werror", *sources) == ""
    return Built(path)


def test_its_own_tests_pass_against_a_real_server(run: Run, built: Built, address: str) -> None:
    launcher = "org.junit.platform.console.ConsoleLauncher"
    options = ["--select-package=tamis.client", "--disable-banner", "--disable-ansi-colors", "--details=tree"]
    output = built.run(run, launcher, *options, TAMIS_ADDRESS=address)
    (passed,) = re.findall(r"(\d+) tests successful", output)
    assert int(passed) >= 50, output
    assert re.search(r" 0 containers skipped", output)


def test_the_first_program_of_its_readme_runs(run: Run, built: Built, address: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```java\n(.*?)^```$", (CLIENTS / "java/README.md").read_text(), re.MULTILINE | re.DOTALL)
    first, _, filters, errors = blocks  # the second is for Java 21
    more = f"static void more(Client client) {{\n{filters}\n{errors}\n}}\n"
    program = tmp_path / "Minute.java"
    text = first.replace("127.0.0.1:7601", address).replace("handbook", "java-readme")
    text = text.replace("public static void main", f"{more}public static void main")
    program.write_text("import java.time.Instant;\nimport tamis.v1.FilterOuterClass.Filter;\n" + text)
    said = built.run(run, str(program))
    assert said == "Parental leave is twelve weeks, paid in full.\n" * 2


def test_its_example_shows_a_search(run: Run, built: Built, address: str) -> None:
    output = built.run(run, "tamis.example.Example", address)
    check_example(output, "chars 0 to 50")
