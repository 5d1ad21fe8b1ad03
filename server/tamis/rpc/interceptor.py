"""What surrounds every call: request id, admission, parsing, errors, one line in the log."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
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

__all__ = ["CallInterceptor", "request_id"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the call that the current task serves: the caller's `x-request-id`, or one of ours."""

_LOG = structlog.get_logger(__name__)
_REQUEST_ID = "x-request-id"
_USABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_OURS = "/tamis."


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the call and its iteration, so that an error in the middle of a stream keeps its status, too."""

    def __init__(self, most_calls: int, tenancy: TenancyConfig, metrics: Metrics) -> None:
        self._most_calls, self._tenancy, self._metrics = most_calls, tenancy, metrics
        self._calls = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Leaves the standard services (health, reflection) as they are."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_OURS):
            return handler
        wrap = self._streaming if handler.response_streaming else self._unary
        return wrap(handler, handler_call_details.method)

    def _unary(self, handler: Any, method: str) -> Any:
        async def serve(raw: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with self._call(context, method):
                return await handler.unary_unary(_parsed(raw, handler), context)

        return grpc.unary_unary_rpc_method_handler(serve, None, handler.response_serializer)

    def _streaming(self, handler: Any, method: str) -> Any:
        """Writes explicitly, so that a cancelled call closes its generator at once."""
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
        read = _all_parsed if handler.request_streaming else _parsed

        async def serve(raw: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            async with self._call(context, method), aclosing(behaviour(read(raw, handler), context)) as responses:
                async for response in responses:
                    await context.write(response)

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(serve, None, handler.response_serializer)
        return grpc.unary_stream_rpc_method_handler(serve, None, handler.response_serializer)

    @asynccontextmanager
    async def _call(self, context: Any, method: str) -> AsyncGenerator[None, None]:
        started = time.monotonic()
        id = _request_id(context)
        request_id.set(id)
        failure: TamisError | None = None
        code = "CANCELLED"
        self._calls += 1
        try:
            with structlog.contextvars.bound_contextvars(request_id=id):
                await context.send_initial_metadata(((_REQUEST_ID, id),))
                if self._calls > self._most_calls:
                    raise Overloaded(f"the server already serves {self._most_calls} calls")
                principal.set(principal_of(context.invocation_metadata() or (), self._tenancy))
                yield
            code = "OK"
        except TamisError as error:
            failure = error
        except Exception:
            if not context.done():  # else the caller is gone, and what it no longer takes is no failure
                _LOG.exception("call failed", request_id=id)
                failure = TamisError("internal error", metadata={"request_id": id})
        finally:
            self._calls -= 1
            code = code_of(failure).name if failure else code
            elapsed = round(time.monotonic() - started, 6)
            self._metrics.call(method.removeprefix("/tamis.v1."), code, elapsed)
            _LOG.info("call", method=method, code=code, elapsed_seconds=elapsed, request_id=id)
        if failure is not None:
            status = to_status(failure)
            trailers = (("grpc-status-details-bin", status.SerializeToString()),)
            await context.abort(code_of(failure), status.message, trailers)


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
    return sent if isinstance(sent, str) and _USABLE_ID.fullmatch(sent) else uuid.uuid4().hex
