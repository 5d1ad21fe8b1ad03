"""`tamis serve`."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from tamis.cli.options import CacheDirectory, Changes, ConfigFile, Preset, configured, with_cache
from tamis.cli.output import failures
from tamis.config import Config
from tamis.event_loops import maker

__all__ = ["LogFormat", "configure_logs", "serve", "until_stopped"]


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


def serve(
    config: ConfigFile = None,
    preset: Preset = None,
    changes: Changes = None,
    listen: Annotated[
        str | None, typer.Option(help="HOST:PORT, loopback only; overrides the file. Port 0 takes any.")
    ] = None,
    data_directory: Annotated[Path | None, typer.Option(help="Where everything is kept; overrides the file.")] = None,
    cache_directory: CacheDirectory = None,
    log_format: Annotated[LogFormat, typer.Option(help="Log lines on standard error.")] = LogFormat.AUTO,
) -> None:
    """Serves until SIGTERM or Ctrl-C; calls under way then get five seconds.

    Prints `listening on HOST:PORT` on standard output once it takes calls.
    """
    configure_logs(log_format)
    with failures():
        loaded = with_cache(configured(config, preset, changes), cache_directory)
        given = {"listen": listen, "data_directory": data_directory}
        final = loaded.with_server(**{key: value for key, value in given.items() if value is not None})
        with asyncio.Runner(loop_factory=maker(final.server.event_loop)) as runner:
            runner.run(_serve(final))


async def _serve(config: Config) -> None:
    from tamis.rpc.app import running  # the server; what only calls one begins sooner without it

    @asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        async with running(config) as server:
            if server.metrics_address:
                structlog.get_logger(__name__).info("metrics", url=f"http://{server.metrics_address}/metrics")
            yield server.address

    await until_stopped(serving())


async def until_stopped(serving: AbstractAsyncContextManager[str]) -> None:
    """Serves at the address that is yielded, and prints it, until SIGTERM or Ctrl-C, which may come at the start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving as address:
        gc.collect()
        gc.freeze()  # what is there by now stays: looking through it again and again would only hold calls up
        print(f"listening on {address}", flush=True)
        await stop.wait()
        structlog.get_logger(__name__).info("stopping")


def configure_logs(log_format: LogFormat) -> None:
    """Sends log lines to standard error: colours for a terminal, JSON for everything else."""
    is_console = sys.stderr.isatty() if log_format is LogFormat.AUTO else log_format is LogFormat.CONSOLE
    plain = structlog.dev.plain_traceback  # the prettier ones print local variables, queries and texts among them
    console = structlog.dev.ConsoleRenderer(exception_formatter=plain)
    lines: Any = _Lines()
    renderer = console if is_console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if is_console else [structlog.processors.format_exc_info]),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=lines),
        cache_logger_on_first_use=True,
    )


class _Lines:
    """Standard error. A full disk behind it costs lines, and never the call or the commit that they are about."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()
