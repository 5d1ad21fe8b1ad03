"""The documentation that every CPython carries: the language reference and the docstrings of the standard library."""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import math
import pkgutil
import platform
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics
from types import ModuleType

from tamis.model import Document

__all__ = ["python_documentation"]

_SHORTEST = 80  # characters; shorter docstrings say little more than the name
_LEFT_OUT = {
    "antigravity",
    "distutils",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "test",
    "this",
    "tkinter",
    "turtle",
    "turtledemo",
}


def python_documentation() -> Iterator[Document]:
    """About 3,000 documents. Modules written in Python are parsed and never imported."""
    seen: set[str] = set()
    compiled = [each for module in (builtins, itertools, math, time) for each in _compiled(module)]
    for document in (*_language_reference(), *compiled, *_library()):
        if document.id not in seen:
            seen.add(document.id)
            yield document


def _language_reference() -> Iterator[Document]:
    for name, text in sorted(topics.items()):
        first, _, rest = text.strip().partition("\n")
        underline, _, body = rest.partition("\n")
        has_heading = bool(underline) and set(underline) <= set("*=-")
        title = first.replace('"', "") if has_heading else name
        yield _document(f"reference/{name}", title, body if has_heading else text, "reference", "")


def _compiled(module: ModuleType) -> Iterator[Document]:
    """Functions and types of a module written in C, with the methods of the latter."""
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or not callable(value):
            continue
        yield from _described(module, name, value)
        if isinstance(value, type):
            for method, function in sorted(vars(value).items()):
                if not method.startswith("_") and callable(function):
                    yield from _described(module, f"{name}.{method}", function)


def _described(module: ModuleType, name: str, value: object) -> Iterator[Document]:
    text = inspect.getdoc(value) or ""
    title = name if module is builtins else f"{module.__name__}.{name}"
    if len(text) >= _SHORTEST // 2:
        kind = "class" if isinstance(value, type) else "function"
        yield _document(f"library/{module.__name__}.{name}", title, text, kind, module.__name__)


def _library() -> Iterator[Document]:
    folder = sysconfig.get_path("stdlib")
    for found in pkgutil.iter_modules([folder]):
        if not found.name.startswith("_") and found.name not in _LEFT_OUT:
            yield from _package(Path(folder), found.name)


def _package(folder: Path, name: str) -> Iterator[Document]:
    path = folder / name
    if path.is_dir():
        for file in sorted(path.rglob("*.py")):
            parts = [name, *file.relative_to(path).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            if not any(part.startswith("_") or part == "test" or part == "tests" for part in parts):
                yield from _module(file, ".".join(parts))
    elif (file := path.with_suffix(".py")).exists():
        yield from _module(file, name)


def _module(file: Path, name: str) -> Iterator[Document]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    if len(text := ast.get_docstring(tree) or "") >= _SHORTEST:
        yield _document(f"library/{name}", name, text, "module", name)
    yield from _members(tree.body, name, name)


def _members(body: list[ast.stmt], prefix: str, module: str) -> Iterator[Document]:
    for node in body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        name = f"{prefix}.{node.name}"
        is_class = isinstance(node, ast.ClassDef)
        text = ast.get_docstring(node) or ""
        if len(text) >= _SHORTEST:
            signature = "" if isinstance(node, ast.ClassDef) else f"{node.name}({ast.unparse(node.args)})\n\n"
            yield _document(f"library/{name}", name, signature + text, "class" if is_class else "function", module)
        if isinstance(node, ast.ClassDef):
            yield from _members(node.body, name, module)


def _document(id: str, title: str, text: str, kind: str, module: str) -> Document:
    metadata = {"kind": kind, "python": platform.python_version()}
    if module:
        metadata["module"] = module
    return Document(id, text, title, metadata)
