"""What surrounds every call: request id, admission, parsing, errors, one line in the log."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from tamis.config import TenancyConfig
from tamis.errors import MalformedMessage, Overloaded, TamisError
from tamis.metrics import Metrics
from tamis.rpc.principals import principal, principal_of
from tamis.rpc.status import code_of, to_status

__all__ = ["Surroundings", "request_id"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the call that the current task serves: the caller's `x-request-id`, or one of ours."""

_LOG = structlog.get_logger(__name__)
_REQUEST_ID = "x-request-id"
_USABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Surroundings:
    """Stands between a gRPC server and the services that are added to it: `add_XServicer_to_server(servicer, this)`.

    Wraps the call and its iteration, so that an error in the middle of a stream keeps its status, too. Handlers are
    wrapped once, as they are added: what gRPC calls an interceptor would do so again for every call.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        most_calls: int,
        tenancy: TenancyConfig,
        metrics: Metrics,
        *,
        tells_id: bool = True,
    ) -> None:
        """Without `tells_id` no response headers go before the first response: callers may then try again until it."""
        self._server, self._most_calls, self._tenancy, self._metrics = server, most_calls, tenancy, metrics
        self._tells_id = tells_id
        self._calls = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Nothing: generated code adds the same handlers as registered ones, too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """What generated code calls."""
        wrapped = {name: self._wrapped(each, f"/{service}/{name}") for name, each in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))
        self._server.add_registered_method_handlers(service, wrapped)

    async def idle(self, *, within: float) -> None:
        """Returns once no call is under way, after `within` seconds at the latest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._is_idle.wait()

    def _wrapped(self, handler: Any, method: str) -> Any:
        return (self._streaming if handler.response_streaming else self._unary)(handler, method)

    def _unary(self, handler: Any, method: str) -> Any:
        behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
        read = _all_parsed if handler.request_streaming else _parsed

        async def serve(raw: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with _Call(self, context, method):
                return await behaviour(read(raw, handler), context)

        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(serve, None, handler.response_serializer)
        return grpc.unary_unary_rpc_method_handler(serve, None, handler.response_serializer)

    def _streaming(self, handler: Any, method: str) -> Any:
        """Writes explicitly, so that a cancelled call closes its generator at once."""
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
        read = _all_parsed if handler.request_streaming else _parsed

        async def serve(raw: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            async with _Call(self, context, method), aclosing(behaviour(read(raw, handler), context)) as responses:
                async for response in responses:
                    await context.write(response)

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(serve, None, handler.response_serializer)
        return grpc.unary_stream_rpc_method_handler(serve, None, handler.response_serializer)

    async def begin(self, call: _Call) -> None:
        """Raises `Overloaded`, `Unauthenticated`."""
        self._calls += 1
        self._is_idle.clear()
        metadata = call.context.invocation_metadata() or ()
        request_id.set(call.id)
        structlog.contextvars.bind_contextvars(request_id=call.id)  # a call has a task, hence a context, of its own
        if self._tells_id:
            await call.context.send_initial_metadata(((_REQUEST_ID, call.id),))
        if self._calls > self._most_calls:
            raise Overloaded(f"the server already serves {self._most_calls} calls")
        principal.set(principal_of(metadata, self._tenancy))

    def end(self, call: _Call, code: str) -> None:
        """Counts and tells how a call has ended."""
        self._calls -= 1
        if not self._calls:
            self._is_idle.set()
        elapsed = round(time.monotonic() - call.started, 6)
        self._metrics.call(call.method.removeprefix("/tamis.v1."), code, elapsed)
        _LOG.info("call", method=call.method, code=code, elapsed_seconds=elapsed, request_id=call.id)


class _Call:
    """One call from its first moment to its last: an asynchronous context that turns errors into a status."""

    __slots__ = ("_around", "context", "id", "method", "started")

    def __init__(self, around: Surroundings, context: Any, method: str) -> None:
        self._around, self.context, self.method = around, context, method
        self.started, self.id = time.monotonic(), _request_id(context)

    async def __aenter__(self) -> None:
        try:
            await self._around.begin(self)
        except BaseException as error:
            await self._end(error)
            raise

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        await self._end(error)
        return isinstance(error, Exception)  # nobody is there any more to be told of it

    async def _end(self, error: BaseException | None) -> None:
        """Does not return when there is a failure to be told: gRPC's way to end a call is an exception of its own."""
        failure = self._failure(error)
        code = code_of(failure).name if failure else "OK" if error is None else "CANCELLED"
        self._around.end(self, code)
        if failure is not None:
            status = to_status(failure)
            trailers = (("grpc-status-details-bin", status.SerializeToString()),)
            await self.context.abort(code_of(failure), status.message, trailers)

    def _failure(self, error: BaseException | None) -> TamisError | None:
        if error is None or isinstance(error, TamisError):
            return error
        if not isinstance(error, Exception) or self.context.done():  # the caller is gone, which is no failure
            return None
        _LOG.error("call failed", request_id=self.id, exc_info=error)
        return TamisError("internal error", metadata={"request_id": self.id})


def _parsed(raw: bytes, handler: Any) -> Any:
    try:
        return handler.request_deserializer(raw)
    except DecodeError:
        raise MalformedMessage(
            "the request is not a valid message: broken encoding, or a string that is not UTF-8"
        ) from None


async def _all_parsed(raw: AsyncIterator[bytes], handler: Any) -> AsyncGenerator[Any, None]:
    async for each in raw:
        yield _parsed(each, handler)


def _request_id(context: Any) -> str:
    """The caller's id, where it is fit for logs and headers."""
    sent = next((value for key, value in context.invocation_metadata() or () if key == _REQUEST_ID), "")
    return sent if isinstance(sent, str) and _USABLE_ID.fullmatch(sent) else secrets.token_hex(16)
