"""Options that several commands share."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from tamis.config import PRESETS, Config, load, load_preset
from tamis.errors import ConfigurationError

__all__ = [
    "Address",
    "CacheDirectory",
    "Changes",
    "Collection",
    "ConfigFile",
    "Json",
    "Language",
    "Overrides",
    "PageSize",
    "PerDocument",
    "Pipeline",
    "Preset",
    "Tenant",
    "Timeout",
    "changed",
    "configured",
    "with_cache",
]

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; ./tamis.toml if there is one, else the built-in default."),
]
Preset = Annotated[str | None, typer.Option(help=f"A built-in configuration instead of a file: {', '.join(PRESETS)}.")]
CacheDirectory = Annotated[
    str | None,
    typer.Option(
        envvar="TAMIS_CACHE_DIRECTORY",
        help="Where what can be made again is kept, such as measured speeds; overrides the file. Empty: nowhere.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting in place of the file's or preset's: cross.model=models/my-reranker."),
]
Address = Annotated[
    str, typer.Option("--address", "-a", envvar="TAMIS_ADDRESS", help="HOST:PORT of the server.", show_default=True)
]
Tenant = Annotated[
    str,
    typer.Option(
        "--tenant", envvar="TAMIS_TENANT", help="The tenant to call for, as its proxy would; none for an operator."
    ),
]
Collection = Annotated[str, typer.Option("--collection", "-C", envvar="TAMIS_COLLECTION", help="The collection.")]
Language = Annotated[
    str, typer.Option("--language", "-l", help="Language of a new collection, an ISO 639-1 code such as 'de'.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Pipeline = Annotated[
    str, typer.Option("--pipeline", "-p", help="A configured pipeline, or an expression such as 'bm25 % 50 >> late'.")
]
PageSize = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="The most hits to show.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="A stage's setting, for this request: answer.max_sentences=5.")
]
PerDocument = Annotated[
    int, typer.Option("--per-document", min=0, help="The most hits of one document; 0 for any number.")
]
Timeout = Annotated[
    float | None,
    typer.Option("--deadline", "-d", min=0.001, help="Seconds the search may take; the server spends them well."),
]

DEFAULT_ADDRESS = "127.0.0.1:7601"
DEFAULT_COLLECTION = "docs"
PATIENCE = 86_400.0  # seconds for indexes to follow: whoever waits at a terminal may interrupt


def configured(config: Path | None, preset: str | None, changes: Sequence[str] | None = None) -> Config:
    """The file, or the preset, or what `load` finds without either, with the settings of `--set` in place of its own.

    Raises `ConfigurationError`, for file and preset together as well.
    """
    if config is not None and preset is not None:
        raise ConfigurationError("--config and --preset exclude each other; begin a file with --print-default")
    return changed(load_preset(preset) if preset is not None else load(config), changes)


def changed(loaded: Config, changes: Sequence[str] | None) -> Config:
    """The same with the settings of `--set` in place of its own. Raises `ConfigurationError`."""
    for change in changes or ():
        place, equals, value = change.partition("=")
        name, dot, setting = place.strip().partition(".")
        if not equals or not dot:
            raise ConfigurationError(f"--set {change!r}: write NAME.SETTING=VALUE, such as cross.model=models/mine")
        loaded = loaded.with_setting(name, setting, _value(value.strip()))
    return loaded


def with_cache(config: Config, directory: str | None) -> Config:
    """With the cache directory that is asked for, or the file's, or the user's own."""
    if directory is None and config.server.cache_directory is not None:
        return config
    wanted = platformdirs.user_cache_dir("tamis") if directory is None else directory
    return config.with_server(cache_directory=wanted or None)


def _value(text: str) -> object:
    """As in the file; what is no TOML is taken as a string, so that a path needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
