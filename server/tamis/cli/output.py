"""How commands end and what they print: tables for people, JSON for programs, an exit code for each failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.text import Text

from tamis.client import CallError
from tamis.errors import ConfigurationError, TamisError

__all__ = ["ExitCode", "console", "fail", "failures", "fields_of", "notices", "print_json"]

console = Console()
"""Standard output: what was asked for."""

notices = Console(stderr=True)
"""Standard error: how far a command is, and what went wrong."""


class ExitCode(IntEnum):
    """What `tamis` ends with; `tamis --help` lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    REFUSED = 5
    INCOMPLETE = 6
    INTERRUPTED = 130


def print_json(value: Message | dict[str, Any] | list[Any], *, with_zeros: bool = False) -> None:
    """One JSON value on one line; field names as in the protos, a message's empty ones among them if asked for."""
    if isinstance(value, Message):
        value = fields_of(value, with_zeros=with_zeros)
    text = json.dumps(value, ensure_ascii=False)
    if any("\ud800" <= character <= "\udfff" for character in text):  # half a character, which no encoding has
        text = json.dumps(value)
    sys.stdout.write(text + "\n")


def fields_of(message: Message, *, with_zeros: bool = False) -> dict[str, Any]:
    """What a message holds, named as in the protos; empty fields among them if asked for."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=with_zeros)


def fail(message: str, code: ExitCode, *hints: str) -> NoReturn:
    """Says what is wrong, and how to go on, on standard error; then exits."""
    notices.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    for hint in hints:
        notices.print(Text(f"  {hint}"), soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def failures(address: str = "") -> Generator[None, None, None]:
    """Turns expected failures into a message and an exit code."""
    try:
        yield
    except ConfigurationError as error:
        fail(str(error), ExitCode.CONFIGURATION)
    except TamisError as error:
        fail(str(error), ExitCode.REFUSED)
    except CallError as error:
        _fail_call(error, address)
    except KeyboardInterrupt:
        fail("interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        raise typer.Exit(ExitCode.OK) from None


def _fail_call(error: CallError, address: str) -> NoReturn:
    if error.code is grpc.StatusCode.UNAVAILABLE and not error.reason:
        fail(f"no server answers at {address}", ExitCode.UNREACHABLE, "start one with: tamis serve")
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and not error.reason:
        fail("the deadline passed before the server was done", ExitCode.FAILED, "give it more with --deadline")
    if error.violations and error.code is not grpc.StatusCode.NOT_FOUND:
        fail(
            "the request was refused",
            ExitCode.REFUSED,
            *(f"{each.field}: {each.description}" for each in error.violations),
        )
    code = ExitCode.REFUSED if error.reason else ExitCode.FAILED
    again = [f"try again in {error.retry_after:g} s"] if error.retry_after is not None else []
    fail(error.message or error.code.name, code, *again)
