"""`tamis plugins`, `tamis pipelines`, `tamis check`: what is installed and configured here."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tamis.cli.options import Changes, ConfigFile, Json, Preset, configured
from tamis.cli.output import ExitCode, console, failures, print_json
from tamis.config import load, preset_text
from tamis.expression import to_text
from tamis.pipeline import Pipelines
from tamis.plugins import Inspected, build
from tamis.plugins import inspect as inspect_plugins

__all__ = ["check", "pipelines", "plugins"]


def plugins(
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


def pipelines(config: ConfigFile = None, json: Json = False) -> None:
    """Lists the configured pipelines."""
    with failures():
        loaded = load(config)
        found = Pipelines(loaded, build(loaded)).list()
    if json:
        fields = [
            {
                "name": each.name,
                "expression": to_text(each.expression),
                "fusion": each.fusion.describe(),
                "required_stages": sorted(each.required),
                "description": each.description,
            }
            for each in found
        ]
        print_json(fields)
        return
    for each in found:
        console.print(Text.assemble((each.name, "bold"), "  ", (to_text(each.expression), "cyan")), soft_wrap=True)
        required = f"; needs {', '.join(sorted(each.required))}" if each.required else ""
        console.print(Text(f"    {each.description} [{each.fusion.describe()}{required}]", "dim"), soft_wrap=True)


def check(
    config: ConfigFile = None,
    preset: Preset = None,
    changes: Changes = None,
    print_default: Annotated[
        bool, typer.Option("--print-default", help="Print the built-in file, or that of --preset, to begin with.")
    ] = False,
) -> None:
    """Checks a configuration file as `tamis serve` would, without opening anything."""
    if print_default:
        with failures():
            typer.echo(preset_text(preset or "default"), nl=False)
        return
    with failures():
        loaded = configured(config, preset, changes)
        components = build(loaded)
        count = len(Pipelines(loaded, components).list())
    console.print(
        f"{loaded.origin}: {len(loaded.models)} models, {len(loaded.stages)} stages, {count} pipelines: all well",
        soft_wrap=True,  # one line for programs, however long the path
    )


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
