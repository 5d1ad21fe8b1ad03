"""Turns a conversation into the text that a language model continues."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jinja2 import TemplateError

from tamis.errors import InvalidRequest
from tamis.models import Message, Prompt

__all__ = ["NEXT_TURN", "Conversation", "defuser"]

NEXT_TURN = "\nUser:"
"""Where a model that was given a transcript begins to make up what the user says next."""


class Conversation:
    """By the tokenizer's chat template; where there is none as a plain transcript that ends with `Assistant:`, or, for
    a single message of the user, as that message itself, so that a prompt with examples is continued as it stands.

    Special tokens that stand in a message are taken apart by a blank, so that no text can end its turn and speak as
    somebody else. A conversation whose last message is the assistant's is continued inside it.
    """

    def __init__(self, tokenizer: Any, *, has_template: bool) -> None:
        self._tokenizer = tokenizer
        self.has_template = has_template
        self._defused = defuser(tokenizer)

    def text(self, prompt: Prompt) -> str:
        """What the model reads. Raises `InvalidRequest` for turns that the template does not take."""
        messages = [Message(each.role, self._defused(each.text)) for each in prompt.messages]
        return self._templated(messages) if self.has_template else _transcript(messages)

    def _templated(self, messages: list[Message]) -> str:
        attempts: tuple[Callable[[list[Message]], list[Message]], ...] = (list, _without_system)
        for shaped in attempts:
            turns = [{"role": each.role, "content": each.text} for each in shaped(messages)]
            goes_on = bool(turns) and turns[-1]["role"] == "assistant"
            try:
                text: str = self._tokenizer.apply_chat_template(
                    turns, tokenize=False, add_generation_prompt=not goes_on, continue_final_message=goes_on
                )
            except (TemplateError, ValueError, IndexError):
                continue
            return text
        raise InvalidRequest.of("messages", "the model's chat template takes no such sequence of turns")


def defuser(tokenizer: Any, *also: str) -> Callable[[str], str]:
    """What takes special tokens of a tokenizer, and others named besides, apart by a blank where they stand in a text,
    so that they are only text."""
    found = {*also, *(str(each) for each in tokenizer.all_special_tokens)}
    found |= {each.content for each in tokenizer.added_tokens_decoder.values() if each.special}
    special = sorted((each for each in found if len(each) > 1), key=len, reverse=True)
    if not special:
        return str
    pattern = re.compile("|".join(map(re.escape, special)))
    return lambda text: pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def _without_system(messages: list[Message]) -> list[Message]:
    """For templates that know no system turn: its text opens the first turn of the user."""
    system = "\n\n".join(each.text for each in messages if each.role == "system")
    rest = [each for each in messages if each.role != "system"]
    if not rest or rest[0].role != "user":
        return [Message("user", system), *rest]
    return [Message("user", f"{system}\n\n{rest[0].text}"), *rest[1:]]


def _transcript(messages: list[Message]) -> str:
    if [each.role for each in messages] == ["user"] and messages[0].text:
        return messages[0].text
    turns = [each.text if each.role == "system" else f"{each.role.capitalize()}: {each.text}" for each in messages]
    if not messages or messages[-1].role != "assistant":
        turns.append("Assistant:")
    return "\n\n".join(turns)
