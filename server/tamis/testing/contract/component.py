"""What every plugin must do, whatever its role."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from pydantic import ValidationError

from tamis.component import CONTRACT_VERSION, Capabilities, Component, Settings, references, referred
from tamis.context import Call
from tamis.deadline import Deadline
from tamis.filters import Operator
from tamis.model import ScoreKind
from tamis.testing.contract.collections import TEXTS
from tamis.testing.contract.observing import Asked, Observed, cancelled, observed

__all__ = ["ComponentContract", "ServingContract", "fresh", "law", "on_its_loop", "opened", "over", "written_in"]

_Test = TypeVar("_Test", bound=Callable[..., Any])
_OF_THE_SYSTEM = {"PYTHONASYNCIODEBUG"}


def written_in(*places: Any) -> Callable[[_Test], _Test]:
    """Says where the contract states what a test checks, if that is not where the class's other tests are stated."""

    def mark(test: _Test) -> _Test:
        test.places = places  # type: ignore[attr-defined]
        return test

    return mark


def law(examples: int) -> settings:
    """How a property is checked, by fewer examples where Hypothesis' profile says so. The same one is checked for every
    plugin, which Hypothesis calls executors."""
    slow = [HealthCheck.differing_executors, HealthCheck.too_slow]
    return settings(max_examples=min(examples, settings().max_examples), deadline=None, suppress_health_check=slow)


def on_its_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test of a contract on the event loop on which the plugin was opened."""

    @wraps(test)
    def run(self: ComponentContract, *args: Any, **kwargs: Any) -> None:
        self.loop.run(test(self, *args, **kwargs))

    return run


@asynccontextmanager
async def opened(component: Component) -> AsyncIterator[Any]:
    """Opens a plugin, after those that its settings refer to; closes in reverse."""
    async with AsyncExitStack() as stack:
        for each in referred(component):
            await stack.enter_async_context(opened(each))
        stack.push_async_callback(component.close)
        await component.open()
        yield component


def fresh(component: Component) -> Component:
    """Another plugin of the same settings, over others of the same settings as those that they refer to."""
    values = dict(component.settings)
    for name, reference in references(type(component.settings)).items():
        if reference.is_plural:
            values[name] = tuple(fresh(each) for each in values[name])
        elif values[name] is not None:
            values[name] = fresh(values[name])
    return type(component)(type(component.settings).model_validate(values))


def over() -> list[Call]:
    """Calls that nobody waits for any more: one whose caller has gone, one whose time is up."""
    gone = Call()
    gone.end()
    return [gone, Call(Deadline.after(-1))]


class ComponentContract:
    """Give the plugin as `tests/test_contract.py` of a new one does, by a fixture `tamis_plugin`; or derive a class and
    say in `component` how it is built. It is opened once, for all tests of the class, as `self.plugin`.

    `places` are where the contract states what the tests check; a failure quotes them.
    """

    loop: ClassVar[asyncio.Runner]
    plugin: ClassVar[Any]
    places: ClassVar[tuple[Any, ...]] = (Component, Settings)

    def component(self) -> Component:
        """A new plugin, not opened; always with the same settings."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def use(self, plugin: Any, call: Call) -> None:
        """An ordinary request to an opened plugin."""

    @pytest.fixture(scope="class")
    @classmethod
    def _given(cls) -> None:
        """What `component` needs is there."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _plugin(cls, _given: None) -> Iterator[None]:
        stack = AsyncExitStack()
        with asyncio.Runner() as cls.loop:
            cls.plugin = cls.loop.run(stack.enter_async_context(opened(cls().component())))
            yield
            cls.loop.run(stack.aclose())

    @pytest.fixture(scope="class")
    @classmethod
    def seen(cls, _plugin: None) -> Observed:
        """What was seen of another plugin of its kind that was opened, used and closed."""
        contract = cls()

        async def look() -> Observed:
            await contract.use(cls.plugin, Call())  # what is only ever made once is there by now
            return await observed(lambda: opened(contract.component()), lambda each: contract.use(each, Call()))

        return cls.loop.run(look())

    def test_settings_refuse_an_unknown_key(self) -> None:
        with pytest.raises(ValidationError) as caught:
            type(self.plugin).Settings.model_validate({"no_such_setting": 1})
        assert "extra_forbidden" in {error["type"] for error in caught.value.errors()}

    def test_settings_refuse_a_value_of_another_kind(self) -> None:
        """Give every setting a type of its own, neither `Any` nor `object`."""
        values = dict(self.plugin.settings)
        for name in values:
            with pytest.raises(ValidationError) as caught:
                type(self.plugin.settings).model_validate({**values, name: object()})
            assert name in {error["loc"][0] for error in caught.value.errors() if error["loc"]}

    def test_settings_have_defaults_that_they_would_accept(self) -> None:
        """Pydantic does not validate defaults by itself."""
        kind = type(self.plugin.settings)
        given = {name: value for name, value in self.plugin.settings if kind.model_fields[name].is_required()}
        defaults = {
            name: each.get_default(call_default_factory=True, validated_data={})
            for name, each in kind.model_fields.items()
            if not each.is_required()
        }
        try:
            kind.model_validate({**given, **defaults})
        except ValidationError as error:
            # What holds of several settings together may well ask for one that has no default.
            assert not [each for each in error.errors() if each["loc"]]

    def test_settings_describe_themselves_as_json_schema(self) -> None:
        kind = type(self.plugin).Settings
        assert issubclass(kind, Settings)
        assert kind.model_json_schema()["type"] == "object"

    def test_settings_are_frozen(self) -> None:
        assert type(self.plugin).Settings.model_config.get("frozen")

    @written_in(Capabilities)
    def test_it_is_written_for_this_version_of_the_contract(self) -> None:
        assert type(self.plugin).capabilities.contract_version == CONTRACT_VERSION

    @written_in(Capabilities)
    def test_its_capabilities_are_of_the_kinds_that_are_known(self) -> None:
        declared = self.plugin.capabilities
        assert isinstance(declared.score_kind, ScoreKind)
        assert all(isinstance(each, Operator) for each in declared.filter_operators)
        assert all(re.fullmatch("[a-z]{2}", each) for each in declared.languages), "languages are ISO 639-1 codes"
        assert declared.max_candidates is None or declared.max_candidates >= 1

    def test_it_can_be_built_twice_from_the_same_settings(self) -> None:
        one, other = (type(self.plugin)(self.plugin.settings) for _ in range(2))
        assert one is not other

    def test_its_constructor_reads_no_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What depends on the environment cannot be seen in the configuration: make it a setting."""
        read: list[str] = []
        found = type(os.environ).__getitem__

        def looked_up(environment: Any, key: str) -> str:
            read.append(key)
            return found(environment, key)

        with monkeypatch.context() as patch:
            patch.setattr(type(os.environ), "__getitem__", looked_up)
            type(self.plugin)(self.plugin.settings)
        assert not set(read) - _OF_THE_SYSTEM

    @written_in(Component.facts)
    def test_its_facts_are_lines_for_people_before_it_is_opened(self) -> None:
        facts = self.component().facts()
        assert not isinstance(facts, str)
        assert all(each.strip() and len(each.splitlines()) == 1 for each in facts)

    @written_in(Component.close)
    @on_its_loop
    async def test_closing_what_was_never_opened_does_no_harm(self) -> None:
        """When another plugin fails to open, the server closes this one."""
        await self.component().close()

    @written_in(Component.open, Component.close)
    def test_it_opens_and_closes_beside_another_of_its_kind(self, seen: Observed) -> None:
        """Keep what belongs to a plugin in it, not in its module or class."""
        if seen.failure is not None:
            raise seen.failure

    @written_in(Component.close)
    def test_closing_ends_every_task(self, seen: Observed) -> None:
        """Cancel the tasks that the plugin has started, and await them."""
        assert not seen.tasks

    @written_in(Component.close)
    def test_closing_ends_every_thread(self, seen: Observed) -> None:
        """Shut down the executors that the plugin has made."""
        assert not seen.threads

    @written_in(Component.close)
    def test_closing_closes_every_file_and_connection(self, seen: Observed) -> None:
        assert not seen.files


class ServingContract(ComponentContract):
    """Of a plugin that serves requests on the event loop of all stages."""

    @written_in("docs/plugins.md#what-you-can-rely-on")
    def test_it_never_waits_on_the_event_loop_but_by_await(self, seen: Observed) -> None:
        """Waiting without `await` (`time.sleep`, a socket, SQLite, `Future.result`) stops every other search: do it in
        an executor of your own, `await loop.run_in_executor(self._executor, …)`."""
        if seen.blocked is not None:
            raise seen.blocked

    @written_in("docs/plugins.md#what-you-can-rely-on")
    def test_it_computes_for_long_elsewhere_than_on_the_event_loop(self, seen: Observed) -> None:
        """Long computing stops every other search: do it in an executor of your own."""
        assert seen.longest_step < 0.25, f"{seen.longest_step:.2f} s of processor time without an await"

    @written_in("docs/plugins.md#what-you-can-rely-on")
    @on_its_loop
    async def test_settings_that_a_request_may_change_are_taken_from_it(self) -> None:
        """Read them as `call.options.get("name", self.settings.name)`."""
        options = {
            name: getattr(self.plugin.settings, name)
            for name, each in type(self.plugin.settings).model_fields.items()
            if isinstance(each.json_schema_extra, dict) and each.json_schema_extra.get("overridable")
        }
        asked = Asked(options)
        await self.use(self.plugin, Call(options=asked))
        assert not options or asked.asked & options.keys(), "none of them was looked up, so none can be changed"

    @written_in(Call)
    @on_its_loop
    async def test_what_it_notes_and_counts_holds_no_text_and_is_never_negative(self) -> None:
        """Notes and counts reach the caller and the metrics: constant phrases, none of the user's words."""
        call = Call()
        await self.use(self.plugin, call)
        assert all(len(each.splitlines()) == 1 for each in call.notes)
        assert not [note for note in call.notes for text in TEXTS if text in note]
        usage = call.usage
        counts = [usage.pair_count, usage.input_token_count, usage.output_token_count, usage.model_call_count]
        assert min(*counts, usage.cache_hit_count, usage.model_seconds, *usage.charges.values(), 0) == 0

    @on_its_loop
    async def test_who_is_cancelled_ends_and_does_not_disturb_the_next(self) -> None:
        """Let `CancelledError` pass: the server cancels a stage that nobody waits for."""
        await cancelled(self.use(self.plugin, Call()))
        await self.use(self.plugin, Call())
