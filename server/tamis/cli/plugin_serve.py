"""`tamis plugin serve`: hosts installed plugins for Tamis servers elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tamis.cli.options import CacheDirectory, Changes, ConfigFile, changed, configured, with_cache
from tamis.cli.output import failures
from tamis.cli.serve import LogFormat, configure_logs, until_stopped
from tamis.config import Config, parse
from tamis.errors import ConfigurationError
from tamis.event_loops import maker
from tamis.plugins import ROLES, discover

__all__ = ["serve"]


def serve(
    plugins: Annotated[
        list[str] | None,
        typer.Argument(help="Plugins to host, with the settings of --set; without any, those of the file."),
    ] = None,
    config: ConfigFile = None,
    changes: Changes = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT; overrides the file. Port 0 takes any.")] = None,
    data_directory: Annotated[
        Path | None, typer.Option(help="Where hosted components keep their indexes; overrides the file.")
    ] = None,
    cache_directory: CacheDirectory = None,
    log_format: Annotated[LogFormat, typer.Option(help="Log lines on standard error.")] = LogFormat.AUTO,
) -> None:
    """Hosts models and stages, so that Tamis servers use them from elsewhere by the remote plugins.

    Those of the file's tables `models.NAME` and `stages.NAME`, or the plugins named here, each under its own name.
    Prints `listening on HOST:PORT` on standard output once it takes calls. Ends with SIGTERM or Ctrl-C; calls under way
    then get five seconds.
    """
    configure_logs(log_format)
    with failures():
        if plugins and config is not None:
            raise ConfigurationError("plugins named here and --config exclude each other")
        loaded = with_cache(
            _of_plugins(plugins, changes) if plugins else configured(config, None, changes), cache_directory
        )
        given = {"listen": listen, "data_directory": data_directory}
        final = loaded.with_plugin_server(**{key: value for key, value in given.items() if value is not None})
        with asyncio.Runner(loop_factory=maker(final.server.event_loop)) as runner:
            runner.run(_serve(final))


async def _serve(config: Config) -> None:
    from tamis.rpc.plugin_app import running_plugins  # what only calls a server begins sooner without it

    await until_stopped(running_plugins(config))


def _of_plugins(names: list[str], changes: list[str] | None) -> Config:
    """A configuration of plugins alone, each under its own name."""
    installed = {each.name: each for each in discover()}
    lines: list[str] = []
    for name in dict.fromkeys(names):
        if name not in installed:
            raise ConfigurationError(f"no plugin named {name!r} is installed; see: tamis plugins")
        section = "stages" if installed[name].group in ROLES else "models"
        lines.append(f'[{section}.{name}]\nplugin = "{name}"\n')
    return changed(parse("\n".join(lines), path="(command line)"), changes)
