"""`tamis pipelines`, `tamis check`: what is configured here."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from tamis.cli.options import Changes, ConfigFile, Json, Preset, configured
from tamis.cli.output import console, failures, print_json
from tamis.config import load, preset_text
from tamis.expression import to_text
from tamis.pipeline import Pipelines
from tamis.plugins import build

__all__ = ["check", "pipelines"]


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
