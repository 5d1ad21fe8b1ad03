"""`tamis plugin`: what is installed, and a package to begin one of your own with."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tamis.cli.options import Json
from tamis.cli.output import ExitCode, console, fail, print_json
from tamis.cli.scaffold import KINDS, Names, Project, problem_of, write
from tamis.plugins import Inspected
from tamis.plugins import inspect as inspect_plugins

__all__ = ["License", "PluginKind", "app", "list_plugins"]

app = typer.Typer(help="Lists plugins, begins a new one, hosts them for other machines.", no_args_is_help=True)


class PluginKind(StrEnum):
    """What a new plugin does."""

    RERANK = "rerank"
    RERANK_LISTWISE = "rerank-listwise"
    RETRIEVE = "retrieve"
    CONTEXT = "context"
    GENERATE = "generate"
    EMBED = "embed"
    LLM = "llm"
    CHUNK = "chunk"
    READ = "read"


class License(StrEnum):
    """The terms that a new package begins with."""

    MIT = "MIT"
    APACHE = "Apache-2.0"
    NONE = "none"


@app.command("list")
def list_plugins(
    name: Annotated[str, typer.Argument(help="Show one plugin's settings.")] = "",
    json: Json = False,
) -> None:
    """Lists the installed plugins, where they come from, and why any of them cannot be loaded."""
    found = [each for each in inspect_plugins() if name in ("", each.plugin.name)]
    if json:
        print_json([_as_json(each) for each in found])
    elif not found:
        console.print(f"no plugin named {name!r} is installed" if name else "no plugin is installed")
    elif name:
        for each in found:
            _print_settings(each)
    else:
        _print_plugins(found)
    if name and not found:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the plugin and of its package, such as my-reranker.")],
    kind: Annotated[PluginKind, typer.Option(help="What the plugin does.")] = PluginKind.RERANK,
    directory: Annotated[Path, typer.Option(help="The folder that the package's own comes into.")] = Path(),
    license: Annotated[License, typer.Option(help="Terms to begin with.")] = License.MIT,
    author: Annotated[str, typer.Option(help="Who holds the copyright.")] = "",
    json: Json = False,
) -> None:
    """Writes a package with a plugin that works, and tests that it passes."""
    chosen = KINDS[kind]
    if problem := problem_of(name, chosen.group):
        raise typer.BadParameter(problem, param_hint="name")
    project = Project(Names(name), chosen, license, author)
    folder = directory / name
    try:
        found = write(project, folder)
    except FileExistsError:
        fail(f"{folder} is there already", ExitCode.REFUSED, "choose another name, or another folder with --directory")
    except OSError as error:
        fail(f"{folder} cannot be written: {error.strerror or error}", ExitCode.FAILED)
    if json:
        names = [each.as_posix() for each in found]
        entry_point = {"group": chosen.group, "name": name, "value": project.entry_point}
        print_json(
            {"name": name, "kind": kind.value, "folder": str(folder), "files": names, "entry_point": entry_point}
        )
        return
    console.print(
        f"{folder}: {len(found)} files; the plugin is {folder}/src/{project.names.module}/plugin.py", soft_wrap=True
    )
    console.print(Text(f"next: pip install -e {folder} && python -m pytest {folder}", "dim"), soft_wrap=True)


def _print_plugins(found: list[Inspected]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("plugin", "group", "distribution", "settings"):
        table.add_column(column, overflow="fold")
    for each in found:
        plugin = each.plugin
        settings = ", ".join((each.settings_schema or {}).get("properties", {})) or "-"
        state = Text(f"cannot be loaded: {each.problem}", "red") if each.problem else Text(settings)
        group = plugin.group.removeprefix("tamis.")
        table.add_row(Text(plugin.name, "bold"), group, f"{plugin.distribution} {plugin.version}", state)
    console.print(table)


def _print_settings(inspected: Inspected) -> None:
    plugin = inspected.plugin
    console.print(Text.assemble((plugin.name, "bold"), f"  {plugin.group}  {plugin.distribution} {plugin.version}"))
    if inspected.settings_schema is None:
        console.print(Text(f"cannot be loaded: {inspected.problem}", "red"))
        return
    schema = inspected.settings_schema
    if schema.get("description"):
        console.print(Text(schema["description"], "dim"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("setting", "type", "default"):
        table.add_column(column)
    for name, each in schema.get("properties", {}).items():
        default = "required" if name in schema.get("required", []) else repr(each.get("default"))
        table.add_row(Text(name, "bold"), _type_of(each), default)
    console.print(table)


def _type_of(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(repr(each) for each in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type_of(each) for each in schema["anyOf"])
    return str(schema.get("description") or schema.get("type", "any"))


def _as_json(inspected: Inspected) -> dict[str, Any]:
    plugin = inspected.plugin
    return {
        "name": plugin.name,
        "group": plugin.group,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "settings_schema": inspected.settings_schema,
        "problem": inspected.problem,
    }
