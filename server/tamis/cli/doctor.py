"""`tamis doctor`: known pitfalls of a configuration and of this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from tamis.cli.options import CacheDirectory, Changes, ConfigFile, Json, Preset, configured, with_cache
from tamis.cli.output import ExitCode, console, failures, print_json
from tamis.config import Config
from tamis.diagnosis import Finding, Severity, diagnose, facts
from tamis.environment import examine
from tamis.errors import ConfigurationError
from tamis.pipeline import Pipelines
from tamis.plugins import build

__all__ = ["doctor"]

_STYLES = {Severity.PROBLEM: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def doctor(
    config: ConfigFile = None,
    preset: Preset = None,
    changes: Changes = None,
    cache_directory: CacheDirectory = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for a warning, too.")] = False,
    json: Json = False,
) -> None:
    """Says what is known to go wrong with a configuration on this machine, why, where, and how to mend it.

    Loads no model. Exits with 1 when there is a problem, with 3 when the configuration cannot be served at all.
    """
    with failures():
        loaded = with_cache(configured(config, preset, changes), cache_directory)
    found, can_start = _found(loaded)
    if json:
        print_json([_as_json(each) for each in found])
    else:
        for each in found:
            _print(each)
        _print_summary(loaded.origin, found)
    if not can_start:
        raise typer.Exit(ExitCode.CONFIGURATION)
    grave = {Severity.PROBLEM, Severity.WARNING} if strict else {Severity.PROBLEM}
    if any(each.severity in grave for each in found):
        raise typer.Exit(ExitCode.FAILED)


def _found(config: Config) -> tuple[list[Finding], bool]:
    """Everything, gravest first, and whether the configuration can be served."""
    found = examine(config)
    try:
        components = build(config)
        found += diagnose(config, Pipelines(config, components).list())
        found += facts(config, components)
        can_start = True
    except ConfigurationError as error:
        found.append(Finding("cannot-start", Severity.PROBLEM, str(error), "`tamis serve` ends with the same words"))
        can_start = False
    return sorted(found, key=lambda each: list(_STYLES).index(each.severity)), can_start


def _print(finding: Finding) -> None:
    style = _STYLES[finding.severity]
    place = f"{finding.place}: " if finding.place else ""
    line = Text.assemble((finding.severity.value, style), "  ", place, finding.message, (f"  ({finding.rule})", "dim"))
    console.print(line, soft_wrap=True)
    for label, text in (("why", finding.why), ("mend", finding.remedy)):
        if text:
            console.print(Text(f"    {label}: {text}", "dim" if label == "why" else ""), soft_wrap=True)


def _print_summary(origin: str, found: list[Finding]) -> None:
    counts = {each: sum(one.severity is each for one in found) for each in _STYLES}
    problems, warnings = counts[Severity.PROBLEM], counts[Severity.WARNING]
    verdict = f"{problems} problems, {warnings} warnings" if problems or warnings else "no problems, no warnings"
    console.print(Text(f"{origin}: {verdict}", "bold"), soft_wrap=True)


def _as_json(finding: Finding) -> dict[str, str]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "message": finding.message,
        "why": finding.why,
        "remedy": finding.remedy,
        "place": finding.place,
    }
