"""An HTTP server on loopback that answers by a script, in the wire formats of language models or badly."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Endpoint", "Reply", "anthropic_reply", "endpoint_running", "openai_reply"]

SSE = {"Content-Type": "text/event-stream"}


@dataclass(frozen=True)
class Reply:
    """`ending` is `well`, `broken` (the connection closes inside the body) or `hanging` (nothing comes any more)."""

    chunks: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: SSE)
    ending: str = "well"


Script = Callable[[dict[str, Any]], Reply]


class Endpoint(ThreadingHTTPServer):
    """`requests` are path, headers (in lower case) and body of what came; `replies` are given in order, the last one
    for ever. `client_left` is set when a client closes a connection on which the server hangs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.replies: list[Reply | Script] = []
        self.client_left = threading.Event()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reply(self, body: dict[str, Any]) -> Reply:
        found = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return found(body) if callable(found) else found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
        reply = self.server.reply(body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for chunk in reply.chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if reply.ending == "hanging":
                self._hang()
        except OSError:
            self.server.client_left.set()
            self.close_connection = True
            return
        self.close_connection = reply.ending != "well"
        if reply.ending == "well":
            self.wfile.write(b"0\r\n\r\n")

    def _hang(self) -> None:
        while not self.server.released.is_set():
            if select.select([self.connection], [], [], 0.02)[0] and not self.connection.recv(1):
                self.server.client_left.set()
                return

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


@contextmanager
def endpoint_running() -> Iterator[Endpoint]:
    """A server that ends with the block, whatever it still waits for."""
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def openai_reply(
    pieces: Sequence[str], *, finish: str | None = "stop", usage: bool = True, ending: str = "well"
) -> Reply:
    """A stream of chat-completion chunks, thoughts of a reasoning model before it. Ten tokens are read."""
    deltas: list[dict[str, Any]] = [{"role": "assistant"}, {"reasoning_content": "Hm."}]
    choices = [{"index": 0, "delta": each} for each in deltas + [{"content": piece} for piece in pieces]]
    if finish:
        choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    events: list[dict[str, Any]] = [{"choices": [each]} for each in choices]
    if usage:
        count = len(pieces)
        events.append(
            {
                "choices": [],
                "usage": {"prompt_tokens": 10, "completion_tokens": count, "total_tokens": 10 + count},
            }
        )
    base = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    chunks = [b"data: %s\n\n" % json.dumps(base | each).encode() for each in events]
    return Reply(chunks + [b"data: [DONE]\n\n"] * (ending == "well"), ending=ending)


def anthropic_reply(
    pieces: Sequence[str], *, stop_reason: str | None = "end_turn", ending: str = "well", error: str = ""
) -> Reply:
    """A stream of message events, thoughts of a reasoning model before it. Ten tokens are read."""
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
    usage = {"input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message | {"usage": usage}}]
    thought = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
    events += [thought, _delta(0, {"type": "thinking_delta", "thinking": "Hm."}), {"type": "ping"}]
    events += [{"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}]
    events += [_delta(1, {"type": "text_delta", "text": piece}) for piece in pieces]
    if error:
        events.append({"type": "error", "error": {"type": error, "message": "secret detail"}})
    elif stop_reason:
        end = {"stop_reason": stop_reason, "stop_sequence": None}
        events.append({"type": "content_block_stop", "index": 1})
        events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": len(pieces)}})
        events.append({"type": "message_stop"})
    chunks = [b"event: %s\ndata: %s\n\n" % (each["type"].encode(), json.dumps(each).encode()) for each in events]
    return Reply(chunks, ending=ending)


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}
