"""What every plugin must do, whatever its role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from pydantic import ValidationError

from tamis.component import CONTRACT_VERSION, Component, Settings, referred
from tamis.context import Call
from tamis.deadline import Deadline

__all__ = ["ComponentContract", "law", "on_its_loop", "opened", "over"]


def law(examples: int) -> settings:
    """How a property is checked. The same one is checked for every plugin, which Hypothesis calls executors."""
    slow = [HealthCheck.differing_executors, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, suppress_health_check=slow)


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


def over() -> list[Call]:
    """Calls that nobody waits for any more: one whose caller has gone, one whose time is up."""
    gone = Call()
    gone.end()
    return [gone, Call(Deadline.after(-1))]


class ComponentContract:
    """Say in `component` how the plugin is built. It is opened once, for all tests of the class, as `self.plugin`."""

    loop: ClassVar[asyncio.Runner]
    plugin: ClassVar[Any]

    def component(self) -> Component:
        """A new plugin, not opened; always with the same settings."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _plugin(cls) -> Iterator[None]:
        stack = AsyncExitStack()
        with asyncio.Runner() as cls.loop:
            cls.plugin = cls.loop.run(stack.enter_async_context(opened(cls().component())))
            yield
            cls.loop.run(stack.aclose())

    def test_settings_refuse_an_unknown_key(self) -> None:
        with pytest.raises(ValidationError) as caught:
            type(self.plugin).Settings.model_validate({"no_such_setting": 1})
        assert "extra_forbidden" in {error["type"] for error in caught.value.errors()}

    def test_settings_describe_themselves_as_json_schema(self) -> None:
        kind = type(self.plugin).Settings
        assert issubclass(kind, Settings)
        assert kind.model_json_schema()["type"] == "object"

    def test_settings_are_frozen(self) -> None:
        assert type(self.plugin).Settings.model_config.get("frozen")

    def test_it_is_written_for_this_version_of_the_contract(self) -> None:
        assert type(self.plugin).capabilities.contract_version == CONTRACT_VERSION

    def test_it_can_be_built_twice_from_the_same_settings(self) -> None:
        one, other = (type(self.plugin)(self.plugin.settings) for _ in range(2))
        assert one is not other

    @on_its_loop
    async def test_closing_what_was_never_opened_does_no_harm(self) -> None:
        await self.component().close()

    @on_its_loop
    async def test_it_opens_and_closes_beside_another_of_its_kind(self) -> None:
        async with opened(self.component()):
            pass
