"""The reference of the API as pages in Markdown, from the protos and their comments."""

from __future__ import annotations

import html
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

# Numbers of fields in descriptor.proto: a comment is found by the path of what it stands before.
MESSAGES, ENUMS, SERVICES, SYNTAX = 4, 5, 6, 12
FIELDS, INNER_MESSAGES, INNER_ENUMS, ONEOFS = 2, 3, 4, 8
METHODS = VALUES = 2

_LABEL_REPEATED = FieldDescriptorProto.LABEL_REPEATED
_CODE = re.compile(r"`([^`]*)`")
_NAME = re.compile(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b|(?<=[Ss]ee )[A-Z][a-z]+\b")


def pages(folder: Path) -> dict[str, str]:
    """A page for each proto below `folder`, by name, and `README.md` before them."""
    files = _compiled(folder)
    places = {f"{file.package}.{name}": f"{_page(file)}#{name}" for file in files for name in _names(file)}
    written = {_page(file): _Page(file, places).text() for file in files}
    return {"README.md": _overview(files, places), **written}


def _compiled(folder: Path) -> Sequence[FileDescriptorProto]:
    names = sorted(each.relative_to(folder).as_posix() for each in folder.glob("tamis/*/*.proto"))
    includes = [f"-I{folder}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
    with tempfile.NamedTemporaryFile() as made:
        if protoc.main(["protoc", *includes, "--include_source_info", f"--descriptor_set_out={made.name}", *names]):
            raise SystemExit("the protos do not compile")
        return FileDescriptorSet.FromString(made.read()).file


def _page(file: FileDescriptorProto) -> str:
    return f"{Path(file.name).stem}.md"


def _names(file: FileDescriptorProto) -> Iterator[str]:
    for service in file.service:
        yield service.name
        yield from (f"{service.name}.{method.name}" for method in service.method)
    for message in file.message_type:
        yield from _names_in(message, message.name)
    yield from (enum.name for enum in file.enum_type)


def _names_in(message: DescriptorProto, name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}.{enum.name}" for enum in message.enum_type)
    for inner in message.nested_type:
        if not inner.options.map_entry:
            yield from _names_in(inner, f"{name}.{inner.name}")


def _overview(files: Sequence[FileDescriptorProto], places: dict[str, str]) -> str:
    parts = ["# The API\n\nMade from the comments in `protos/tamis/v1`, which are the contract.\n\n"]
    for file in reversed(files):  # SearchService before those that serve it
        page = _Page(file, places)
        for index, service in enumerate(file.service):
            path = (SERVICES, index)
            parts.append(f"## {service.name}\n\n{page.comment(path)}\n\n| rpc | |\n|---|---|\n")
            for at, method in enumerate(service.method):
                link = f"[`{method.name}`]({places[f'{file.package}.{service.name}.{method.name}']})"
                parts.append(f"| {link} | {page.first_sentence((*path, METHODS, at))} |\n")
            parts.append("\n")
    parts.append("## Pages\n\n| | |\n|---|---|\n")
    parts += (
        f"| [{Path(each.name).name}]({_page(each)}) | {_Page(each, places).first_sentence((SYNTAX,))} |\n"
        for each in files
    )
    return "".join(parts)


@dataclass
class _Page:
    """What stands in one proto."""

    file: FileDescriptorProto
    places: dict[str, str]
    _comments: dict[tuple[int, ...], str] = field(init=False)

    def __post_init__(self) -> None:
        locations = self.file.source_code_info.location
        self._comments = {tuple(each.path): each.leading_comments for each in locations if each.leading_comments}

    def text(self) -> str:
        parts = [f"# {Path(self.file.name).name}\n\n{self.comment((SYNTAX,))}\n\n"]
        for index, service in enumerate(self.file.service):
            parts += self._service(service, (SERVICES, index))
        for index, message in enumerate(self.file.message_type):
            parts += self._message(message, message.name, (MESSAGES, index))
        for index, enum in enumerate(self.file.enum_type):
            parts += self._enum(enum, enum.name, (ENUMS, index))
        return "".join(parts)

    def comment(self, path: tuple[int, ...]) -> str:
        """The comment before what has this path: its paragraphs, what is indented as code, names as links."""
        lines = self._comments.get(path, "").splitlines()
        blocks = "\n".join(line.removeprefix(" ") for line in lines).strip("\n").split("\n\n")
        return "\n\n".join(
            f"```text\n{each}\n```" if all(line.startswith("  ") for line in each.splitlines()) else self._prose(each)
            for each in blocks
        )

    def first_sentence(self, path: tuple[int, ...]) -> str:
        first = " ".join(self.comment(path).partition("\n\n")[0].split())
        return re.split(r"(?<=\.) ", first, maxsplit=1)[0].replace("|", "&#124;")

    def _prose(self, text: str) -> str:
        plain = _CODE.split(text)
        for index, part in enumerate(plain):
            if index % 2:
                plain[index] = f"<code>{html.escape(part)}</code>"
            else:
                plain[index] = _NAME.sub(self._named, html.escape(part, quote=False))
        return "".join(plain)

    def _named(self, found: re.Match[str]) -> str:
        ends = f".{found[0]}"
        places = [place for name, place in self.places.items() if name.endswith(ends)]
        return f"[{found[0]}]({places[0]})" if len(places) == 1 else found[0]

    def _service(self, service: ServiceDescriptorProto, path: tuple[int, ...]) -> Iterator[str]:
        yield f"## {service.name} {{ #{service.name} }}\n\n{self.comment(path)}\n\n"
        for index, method in enumerate(service.method):
            yield f"### {method.name} {{ #{service.name}.{method.name} }}\n\n"
            yield f"{self._signature(method)}\n\n{self.comment((*path, METHODS, index))}\n\n"

    def _signature(self, method: MethodDescriptorProto) -> str:
        asked = ("stream " if method.client_streaming else "") + self._type(method.input_type)
        given = ("stream " if method.server_streaming else "") + self._type(method.output_type)
        return f"{asked} → {given}"

    def _message(self, message: DescriptorProto, name: str, path: tuple[int, ...]) -> Iterator[str]:
        yield f"## {name} {{ #{name} }}\n\n{self.comment(path)}\n\n"
        seen: set[int] = set()
        for index, each in enumerate(message.field):
            is_choice = each.HasField("oneof_index") and not each.proto3_optional
            if is_choice and each.oneof_index not in seen:
                seen.add(each.oneof_index)
                oneof = message.oneof_decl[each.oneof_index].name
                yield _entry(f"{name}.{oneof}", oneof, "oneof", self.comment((*path, ONEOFS, each.oneof_index)))
            kind = f"{self._label(each, message)} <small>{each.number}</small>"
            if is_choice:
                kind += f" <small>of {message.oneof_decl[each.oneof_index].name}</small>"
            yield _entry(f"{name}.{each.name}", each.name, kind, self.comment((*path, FIELDS, index)))
        for index, inner in enumerate(message.nested_type):
            if not inner.options.map_entry:
                yield from self._message(inner, f"{name}.{inner.name}", (*path, INNER_MESSAGES, index))
        for index, enum in enumerate(message.enum_type):
            yield from self._enum(enum, f"{name}.{enum.name}", (*path, INNER_ENUMS, index))

    def _label(self, each: FieldDescriptorProto, message: DescriptorProto) -> str:
        if each.label == _LABEL_REPEATED:
            entry = next((one for one in message.nested_type if each.type_name.endswith(f".{one.name}")), None)
            if entry is not None and entry.options.map_entry:
                return f"map of {self._type_of(entry.field[0])} to {self._type_of(entry.field[1])}"
            return f"repeated {self._type_of(each)}"
        return f"optional {self._type_of(each)}" if each.proto3_optional else self._type_of(each)

    def _type_of(self, each: FieldDescriptorProto) -> str:
        if each.type_name:
            return self._type(each.type_name)
        return FieldDescriptorProto.Type.Name(each.type).removeprefix("TYPE_").lower()

    def _type(self, full_name: str) -> str:
        name = full_name.removeprefix(".")
        place = self.places.get(name)
        return f"[{name.removeprefix(f'{self.file.package}.')}]({place})" if place else name

    def _enum(self, enum: EnumDescriptorProto, name: str, path: tuple[int, ...]) -> Iterator[str]:
        yield f"## {name} {{ #{name} }}\n\n{self.comment(path)}\n\n"
        for index, value in enumerate(enum.value):
            comment = self.comment((*path, VALUES, index))
            yield _entry(f"{name}.{value.name}", value.name, f"<small>{value.number}</small>", comment)


def _entry(anchor: str, name: str, kind: str, comment: str) -> str:
    return f'<span id="{anchor}"></span>`{name}` {kind}\n:   {_indented(comment).lstrip()}\n\n'


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())
