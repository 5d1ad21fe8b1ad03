"""Makes the TypeScript stubs from protos/, and those of error details and health from the installed packages."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2

HERE = Path(__file__).parent
PROTOS = HERE.parents[1] / "protos"


def generate(to: Path) -> None:
    """Writes all stubs below `to`, as they are below this folder."""
    _generate(
        to / "src/gen", [f"-I{PROTOS}"], [str(each.relative_to(PROTOS)) for each in PROTOS.glob("tamis/v1/*.proto")]
    )
    _generate_from(to / "src/gen", error_details_pb2.DESCRIPTOR)
    _generate_from(to / "examples/gen", health_pb2.DESCRIPTOR)


def _generate_from(to: Path, file: FileDescriptor) -> None:
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "described.binpb"
        described.write_bytes(FileDescriptorSet(file=map(_proto, _with_imports(file))).SerializeToString())
        _generate(to, [f"--descriptor_set_in={described}"], [file.name])


def _generate(to: Path, source: list[str], names: list[str]) -> None:
    to.mkdir(parents=True, exist_ok=True)
    plugin = f"--plugin=protoc-gen-es={HERE / 'node_modules/.bin/protoc-gen-es'}"
    out = [f"--es_out={to}", "--es_opt=target=ts,import_extension=js"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *source, plugin, *out, *sorted(names)], check=True)


def _with_imports(file: FileDescriptor) -> list[FileDescriptor]:
    return [*(each for imported in file.dependencies for each in _with_imports(imported)), file]


def _proto(file: FileDescriptor) -> FileDescriptorProto:
    found = FileDescriptorProto()
    file.CopyToProto(found)
    return found


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
