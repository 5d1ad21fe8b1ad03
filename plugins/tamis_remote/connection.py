"""The connection to a remote component: its calls, their deadlines and further tries, and what its refusals mean."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from tamis.context import Call, CallEnded
from tamis.errors import ConfigurationError, DeadlineExceeded, TamisError, Unavailable
from tamis.hosting.description import FingerprintChanged, NotOffered, UnsupportedContract
from tamis.v1 import plugin_service_pb2 as pb
from tamis.v1 import plugin_service_pb2_grpc
from tamis.wire.refusals import to_error
from tamis_remote.settings import RemoteSettings

__all__ = ["UNREACHABLE", "Connection", "describes", "where_is"]

UNREACHABLE = "the remote component cannot be reached"
"""What a call notes that got no answer."""

_SERVICE = "tamis.v1.PluginService"
_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", -1),
    # What was sent is kept until the first response comes, so that it can be sent again.
    ("grpc.per_rpc_retry_buffer_size", 256 << 20),
    # An address that comes back is found again within a second; by default it may take two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    # Whoever vanishes without a word is noticed.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]


class Connection:
    """A channel over all addresses. gRPC itself divides calls among those that are healthy, and tries again elsewhere
    what was refused as UNAVAILABLE before its first response, unless too much of late has been."""

    def __init__(self, settings: RemoteSettings) -> None:
        """Connects at the first call. Must be made on the event loop that uses it. Raises `ConfigurationError`."""
        self.where = where_is(settings)
        self._channel = _channel(settings, grpc.aio)
        self.stub: Any = plugin_service_pb2_grpc.PluginServiceStub(self._channel)

    async def first(self, method: Any, request: Any, call: Call) -> Any:
        """The response to the first request of all, for which the call's time is waited until somebody answers.

        Raises what the other side raised, and `Unavailable` when nobody answers.
        """
        try:
            call.check()
            return await call.wait(method(request, **_sent_with(call), wait_for_ready=True))
        except grpc.aio.AioRpcError as error:
            failure = _error(error, self.where)
        except CallEnded:
            failure = DeadlineExceeded("")
        raise Unavailable(f"{self.where} cannot be reached") if isinstance(failure, DeadlineExceeded) else failure

    async def one(self, method: Any, request: Any, call: Call) -> Any:
        """The only response to one request, or to a stream of them.

        Raises `CallEnded` once the call is over, what the other side raised, and `Unavailable` when it does not answer.
        """
        call.check()
        with self._told(call):
            return await call.wait(method(request, **_sent_with(call)))

    async def many(self, method: Any, request: Any, call: Call) -> AsyncGenerator[Any, None]:
        """The responses as they come. Closing ends the call on the other side, too. Raises like `one`."""
        call.check()
        responses = method(request, **_sent_with(call))
        try:
            with self._told(call):
                while (response := await call.wait(responses.read())) is not grpc.aio.EOF:
                    yield response
        finally:
            responses.cancel()

    async def close(self) -> None:
        """Ends every call under way."""
        await self._channel.close()

    @contextmanager
    def _told(self, call: Call) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            failure = _error(error, self.where)
        except grpc.aio.UsageError:
            failure = Unavailable(f"{self.where} is not connected any more")
        else:
            return
        if isinstance(failure, DeadlineExceeded):
            raise CallEnded
        if isinstance(failure, (FingerprintChanged, UnsupportedContract)):
            failure = Unavailable(f"{self.where} is not what it was when this server started; start it again")
        if isinstance(failure, Unavailable) and not isinstance(failure, NotOffered):
            call.note(UNREACHABLE)
        raise failure


def where_is(settings: RemoteSettings) -> str:
    """A component and its addresses, for people."""
    return f"{settings.component!r} at {', '.join(settings.addresses)}"


def describes(settings: RemoteSettings, request: pb.DescribeRequest, *, within: float) -> pb.DescribeResponse:
    """What a component says it is. Blocks. Raises `TamisError`."""
    with _channel(settings, grpc) as channel:
        stub: Any = plugin_service_pb2_grpc.PluginServiceStub(channel)
        try:
            found: pb.DescribeResponse = stub.Describe(request, timeout=within)
            return found
        except grpc.RpcError as error:
            raise _error(error, where_is(settings)) from None


def _channel(settings: RemoteSettings, api: Any) -> Any:
    """`api` is `grpc` or `grpc.aio`."""
    options = [*_OPTIONS, ("grpc.service_config", json.dumps(_service_config(settings.max_attempts)))]
    if settings.ca_file is None:
        return api.insecure_channel(settings.target, options)
    if settings.server_name:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
    else:
        options.append(("grpc.default_authority", settings.addresses[0]))
    return api.secure_channel(settings.target, _credentials(settings), options)


def _error(error: Any, where: str) -> TamisError:
    trailers: Any = error.trailing_metadata() or ()
    packed = next((value for key, value in trailers if key == "grpc-status-details-bin"), None)
    return to_error(error.code().value[0], error.details() or "", packed, where=where)


def _sent_with(call: Call) -> dict[str, Any]:
    """Deadline and request id, as gRPC carries them."""
    timeout = None if math.isinf(call.deadline.at) else call.deadline.remaining
    return {"timeout": timeout, "metadata": (("x-request-id", call.request_id),) if call.request_id else ()}


def _service_config(max_attempts: int) -> dict[str, Any]:
    """What gRPC does by itself. The throttle holds further tries back once more than a third of the calls fail."""
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": _SERVICE},
    }
    if max_attempts > 1:
        policy = {
            "maxAttempts": max_attempts,
            "initialBackoff": "0.02s",
            "maxBackoff": "0.5s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        config["methodConfig"] = [{"name": [{"service": _SERVICE}], "retryPolicy": policy}]
        config["retryThrottling"] = {"maxTokens": 100, "tokenRatio": 0.5}
    return config


def _credentials(settings: RemoteSettings) -> grpc.ChannelCredentials:
    authorities, key, certificate = map(_content, (settings.ca_file, settings.key_file, settings.certificate_file))
    return grpc.ssl_channel_credentials(authorities, key, certificate)


def _content(file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.expanduser().read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
