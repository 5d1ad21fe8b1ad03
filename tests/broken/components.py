"""Broken in what every plugin must do, and every one that serves requests. All of them are rerankers."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated, Any

from my_rerank import MyRerank, MyRerankSettings
from pydantic import ConfigDict, Field
from rejection import rejected_by

from tamis.component import Capabilities, overridable
from tamis.model import ScoreKind


class AnyKey(MyRerankSettings):
    model_config = ConfigDict(extra="allow")


@rejected_by("test_settings_refuse_an_unknown_key")
class TakesAnyKey(MyRerank):
    Settings = AnyKey


class Untyped(MyRerankSettings):
    words: Any = ()


@rejected_by("test_settings_refuse_a_value_of_another_kind")
class TakesAnyValue(MyRerank):
    Settings = Untyped


class Contradicting(MyRerankSettings):
    words: Annotated[int, Field(ge=1)] = 0


@rejected_by("test_settings_have_defaults_that_they_would_accept")
class HasAnInvalidDefault(MyRerank):
    Settings = Contradicting


class Live(MyRerankSettings):
    lock: threading.Event = threading.Event()


@rejected_by("test_settings_describe_themselves_as_json_schema")
class HasASettingThatNoFileCanHold(MyRerank):
    Settings = Live


class Changeable(MyRerankSettings):
    model_config = ConfigDict(frozen=False)


@rejected_by("test_settings_are_frozen")
class ChangesItsSettings(MyRerank):
    Settings = Changeable


@rejected_by("test_it_is_written_for_this_version_of_the_contract")
class OfAnotherVersion(MyRerank):
    capabilities = Capabilities(ScoreKind.LOGIT, contract_version=99)


@rejected_by("test_its_capabilities_are_of_the_kinds_that_are_known")
class SpeaksGerman(MyRerank):
    capabilities = Capabilities(ScoreKind.LOGIT, languages=frozenset({"German"}))


@rejected_by("test_it_can_be_built_twice_from_the_same_settings")
class IsASingleton(MyRerank):
    built = False

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        assert not type(self).built
        type(self).built = True


@rejected_by("test_its_constructor_reads_no_environment")
class ReadsTheEnvironment(MyRerank):
    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.home = os.environ.get("HOME")


@rejected_by("test_its_facts_are_lines_for_people_before_it_is_opened")
class HasOneFact(MyRerank):
    def facts(self) -> Any:
        return "a fact"


@rejected_by("test_closing_what_was_never_opened_does_no_harm")
class ClosesWhatItNeverOpened(MyRerank):
    async def open(self) -> None:
        self.executor = ThreadPoolExecutor(1)

    async def close(self) -> None:
        self.executor.shutdown()


@rejected_by("test_it_opens_and_closes_beside_another_of_its_kind")
class AloneInTheProcess(MyRerank):
    is_open = False

    async def open(self) -> None:
        assert not AloneInTheProcess.is_open
        AloneInTheProcess.is_open = True


@rejected_by("test_closing_ends_every_task")
class LeavesATask(MyRerank):
    async def open(self) -> None:
        self.task = asyncio.create_task(asyncio.Event().wait())


@rejected_by("test_closing_ends_every_thread")
class LeavesAThread(MyRerank):
    async def open(self) -> None:
        self.executor = ThreadPoolExecutor(1)
        self.executor.submit(int)


@rejected_by("test_closing_closes_every_file_and_connection")
class LeavesAFile(MyRerank):
    async def open(self) -> None:
        self.file = open(os.devnull)  # noqa: SIM115, ASYNC230


@rejected_by("test_it_never_waits_on_the_event_loop_but_by_await")
class Sleeps(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        time.sleep(0.001)  # noqa: ASYNC251
        async for each in super().score(query, passages, call=call):
            yield each


@rejected_by("test_it_computes_for_long_elsewhere_than_on_the_event_loop")
class Computes(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
        async for each in super().score(query, passages, call=call):
            yield each


class OpenToRequests(MyRerankSettings):
    weight: Annotated[float, Field(json_schema_extra=overridable())] = 1.0


@rejected_by("test_settings_that_a_request_may_change_are_taken_from_it")
class IgnoresOptions(MyRerank):
    Settings = OpenToRequests


@rejected_by("test_what_it_notes_and_counts_holds_no_text_and_is_never_negative")
class NotesTexts(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        call.note(f"asked for {query.text}")
        async for each in super().score(query, passages, call=call):
            yield each


@rejected_by("test_who_is_cancelled_ends_and_does_not_disturb_the_next")
class IgnoresCancellation(MyRerank):
    async def score(self, query: Any, passages: Any, *, call: Any) -> Any:
        with suppress(asyncio.CancelledError):
            for _ in range(100):
                await asyncio.sleep(0)
        for index in range(len(passages)):
            yield index, 0.0
