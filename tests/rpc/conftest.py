"""Fixtures of the tests across the socket."""

from __future__ import annotations

from socket_fixtures import fakes_are_installed, servers, the_trace_is_fresh

__all__ = ["fakes_are_installed", "servers", "the_trace_is_fresh"]
