"""Hosts plugins on Ray Serve: replicas that scale by themselves, behind its gRPC proxy, which speaks PluginService."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

from tamis.config import load, parse
from tamis.errors import ConfigurationError, NotFound, Overloaded, TamisError, Unavailable
from tamis.hosting.host import PluginHost
from tamis.rpc.plugins import PluginServicer
from tamis.rpc.status import to_status
from tamis.stage import HasIndex, Retriever
from tamis.v1 import plugin_service_pb2 as pb

__all__ = ["Gateway", "Plugins", "application"]

_LOG = structlog.get_logger(__name__)
_ATTEMPTS = 3
_PATIENCE = 20.0  # seconds; Serve itself gives a health check 30
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_GONE = (RayActorError, ReplicaUnavailableError)


class Plugins:
    """A replica: the models and stages of one configuration file."""

    async def __init__(self, text: str, path: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Opens them all. Raises `ConfigurationError`."""
        self._host = PluginHost(parse(text, path=path))
        await self._host.open()
        self._servicer = PluginServicer(self._host)

    async def serve(self, method: str, requests: list[bytes]) -> AsyncIterator[tuple[bytes, bytes]]:
        """The responses to the messages of a call, each before an empty string; or at the end, behind one, the
        google.rpc.Status of a failure."""
        handler = _METHODS[method]
        messages = [handler.request.FromString(each) for each in requests]
        try:
            if handler.is_one_response:
                response = await getattr(self._servicer, method)(messages[0], _Context())
                yield response.SerializeToString(), b""
                return
            asked = _each(messages) if handler.is_stream else messages[0]
            async for response in getattr(self._servicer, method)(asked, _Context()):
                yield response.SerializeToString(), b""
        except TamisError as error:
            yield b"", to_status(error).SerializeToString()
        except Exception:
            _LOG.exception("call failed", method=method)
            yield b"", to_status(TamisError("internal error")).SerializeToString()

    async def check_health(self) -> None:
        """What Serve asks again and again; it replaces a replica that a plugin blocks."""
        if not await self._host.answers(within=_PATIENCE):
            raise RuntimeError("a plugin blocks the others")

    async def __del__(self) -> None:
        """What Serve calls when a replica is to go."""
        with suppress(AttributeError):  # it was never opened
            await self._host.close()


class Gateway:
    """Takes calls of PluginService and has the replicas of the component answer them. A call whose replica is killed
    before its first response goes to another one."""

    def __init__(self, places: Mapping[str, str], deployments: Mapping[str, Any]) -> None:
        """`places` says in which deployment a component is."""
        self._places, self._deployments = places, deployments

    async def Describe(self, request: Any, grpc_context: Any) -> Any:  # noqa: N802
        return await self._one("Describe", request.component, request, grpc_context, pb.DescribeResponse)

    async def Embed(self, requests: Any, grpc_context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for each in self._streamed("Embed", requests, grpc_context):
            yield each

    async def EmbedSparse(self, requests: Any, grpc_context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for each in self._streamed("EmbedSparse", requests, grpc_context):
            yield each

    async def EmbedTokens(self, requests: Any, grpc_context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for each in self._streamed("EmbedTokens", requests, grpc_context):
            yield each

    async def Rerank(self, requests: Any, grpc_context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for each in self._streamed("Rerank", requests, grpc_context):
            yield each

    async def Retrieve(self, request: Any, grpc_context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for each in self._streamed("Retrieve", _each([request]), grpc_context):
            yield each

    async def Generate(self, requests: Any, grpc_context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for each in self._streamed("Generate", requests, grpc_context):
            yield each

    async def Complete(self, request: Any, grpc_context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for each in self._streamed("Complete", _each([request]), grpc_context):
            yield each

    async def ScoreChoices(self, request: Any, grpc_context: Any) -> Any:  # noqa: N802
        return await self._one("ScoreChoices", request.call.component, request, grpc_context, pb.ScoreChoicesResponse)

    async def _one(self, method: str, component: str, request: Any, context: Any, response: type[Any]) -> Any:
        """The only response; an empty one with a refusal, whose details would get lost if it were raised."""
        try:
            async for each in self._answers(method, component, [request]):
                return each
        except _Refused as refusal:
            refusal.tell(context)
        return response()

    async def _streamed(self, method: str, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Reads all requests before it asks: whoever answers begins when all are there, and a replica that is killed
        must be able to be replaced."""
        messages = [each async for each in requests]
        try:
            component = messages[0].call.component if messages else ""
            async for each in self._answers(method, component, messages):
                yield each
        except _Refused as refusal:
            refusal.tell(context)
            raise RuntimeError(refusal.status.message) from None  # which Ray carries to the proxy

    async def _answers(self, method: str, component: str, messages: list[Any]) -> AsyncGenerator[_Serialized, None]:
        """Raises `_Refused`."""
        if component not in self._places:
            raise _Refused.by(NotFound("component", component, available=sorted(self._places), field="component"))
        handle = self._deployments[self._places[component]].options(stream=True)
        requests = [each.SerializeToString() for each in messages]
        for left in reversed(range(_ATTEMPTS)):
            responses, has_begun = handle.serve.remote(method, requests), False
            try:
                async for response, failure in responses:
                    if failure:
                        raise _Refused(status_pb2.Status.FromString(failure))
                    has_begun = True
                    yield _Serialized(response)
                return
            except _GONE:
                _LOG.warning("replica is gone", component=component, method=method, has_begun=has_begun)
                if has_begun or not left:
                    raise _Refused.by(Unavailable("the replica is gone")) from None
            except BackPressureError as error:
                raise _Refused.by(Overloaded("too many calls wait", retry_after=error.retry_after_s)) from None
            except DeploymentUnavailableError:
                raise _Refused.by(Unavailable("the deployment failed")) from None
            finally:
                responses.cancel()  # of no effect once it has ended


def application(files: dict[str, str]) -> Any:
    """What Serve runs: a deployment for each name, whose replicas host the models and stages of its configuration file.

    A component that several files have is asked of the first of them. Raises `ConfigurationError`, also for a component
    that keeps an index, which replicas cannot share.
    """
    places: dict[str, str] = {}
    deployments: dict[str, Any] = {}
    for name, file in files.items():
        host = PluginHost(load(Path(file)))
        for component in host.served():
            if isinstance(found := host.components[component], Retriever) and isinstance(found, HasIndex):
                raise ConfigurationError(
                    f"{component!r} keeps an index, which replicas cannot share: tamis plugin serve hosts it", path=file
                )
            places.setdefault(component, name)
        deployments[name] = serve.deployment(Plugins).options(name=name).bind(Path(file).read_text(), file)
    if not places:
        raise ConfigurationError("there is no model and no stage to serve")
    gateway = serve.deployment(Gateway).options(
        num_replicas=2, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1}
    )
    return gateway.bind(places, deployments)


class _Handler:
    """How one rpc is called."""

    def __init__(self, request: Any, *, is_stream: bool = False, is_one_response: bool = False) -> None:
        self.request, self.is_stream, self.is_one_response = request, is_stream, is_one_response


_METHODS = {
    "Describe": _Handler(pb.DescribeRequest, is_one_response=True),
    "Embed": _Handler(pb.EmbedRequest, is_stream=True),
    "EmbedSparse": _Handler(pb.EmbedSparseRequest, is_stream=True),
    "EmbedTokens": _Handler(pb.EmbedTokensRequest, is_stream=True),
    "Rerank": _Handler(pb.PluginServiceRerankRequest, is_stream=True),
    "Retrieve": _Handler(pb.PluginServiceRetrieveRequest),
    "Generate": _Handler(pb.PluginServiceGenerateRequest, is_stream=True),
    "Complete": _Handler(pb.CompleteRequest),
    "ScoreChoices": _Handler(pb.ScoreChoicesRequest, is_one_response=True),
}


class _Context:
    """What a handler is told of gRPC here: no deadline, in whose place the call's budget stands."""

    def time_remaining(self) -> float | None:
        return None


class _Serialized:
    """A message that Serve sends as it is."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def SerializeToString(self) -> bytes:  # noqa: N802
        return self._data


class _Refused(Exception):
    """A status other than OK."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status

    @classmethod
    def by(cls, error: TamisError) -> _Refused:
        return cls(to_status(error))

    def tell(self, context: Any) -> None:
        """Sets it on a Serve context."""
        context.set_code(_CODES[self.status.code])
        context.set_details(self.status.message)
        context.set_trailing_metadata([("grpc-status-details-bin", self.status.SerializeToString())])


async def _each(messages: list[Any]) -> AsyncIterator[Any]:
    for each in messages:
        yield each
