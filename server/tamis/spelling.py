"""Asks a pipeline's retrievers for a better spelling of the query, beside the search."""

from __future__ import annotations

import asyncio

import structlog

from tamis.context import Call, CallEnded
from tamis.pipeline import Pipeline
from tamis.stage_loop import StageLoop
from tamis.stage_run import Request

__all__ = ["Spelling"]

_LOG = structlog.get_logger(__name__)
_PATIENCE = 0.05  # seconds that a search which is done waits for it


class Spelling:
    """One search's question to the first retriever that knows its index's words. Never fails a search, nor delays it
    by more than a moment."""

    def __init__(self, pipeline: Pipeline, request: Request, loop: StageLoop) -> None:
        self._request, self._loop = request, loop
        name, self._knowing = pipeline.speller
        self._call = Call(request.deadline, request.request_id, request.principal, request.options.get(name, {}))
        self._task: asyncio.Task[str] | None = None

    def start(self) -> None:
        """Asks, unless nobody knows, there is no question, or the words are not for the caller."""
        knowing, request = self._knowing, self._request
        if knowing is not None and request.is_question and request.mends_spelling:
            query = request.asked
            self._task = asyncio.ensure_future(self._loop.run(lambda: knowing.suggest(query, call=self._call)))

    async def finish(self) -> str:
        """The better spelling; empty without one, or when it takes too long."""
        if self._task is None:
            return ""
        try:
            async with asyncio.timeout(min(_PATIENCE, self._request.deadline.remaining)):
                found = await self._task
            found.encode()  # raises for what is no text, and for text that no message can carry
            return found
        except (TimeoutError, CallEnded):
            return ""
        except Exception:
            _LOG.exception("no suggestion", request_id=self._request.request_id)
            return ""
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Ends the question; idempotent."""
        self._call.end()
        if self._task is not None and not self._task.cancel() and not self._task.cancelled():
            self._task.exception()  # retrieved, so that asyncio does not report it as lost
