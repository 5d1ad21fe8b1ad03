"""The one-line pipeline language: parse, print, validate."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, Union

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from tamis.errors import InvalidExpression
from tamis.events import StageRole

__all__ = ["Chain", "Cut", "Expression", "Join", "Leaf", "Prior", "has_join", "leaves", "parse", "to_text", "validate"]

MOST_CHARACTERS = 4_096
DEEPEST = 32
MOST_CUTS = 128
LARGEST_LIMIT = 100_000

_GRAMMAR = r"""
    ?start: chain
    ?chain: join (">>" join)*
    ?join: cut ("|" cut)*
    ?cut: atom | cut "%" LIMIT -> cut
    ?atom: NAME -> leaf | "(" chain ")" -> group
    NAME: /[a-z][a-z0-9_-]*/
    LIMIT: /[0-9]+/
    %ignore /[ \t\r\n]+/
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A configured stage by name. `column` is where it stands in the text it was read from, from 1."""

    name: str
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Prior:
    """The order that came in."""

    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Cut:
    """Keeps the first `limit` hits of `operand`; never relaxes a stricter limit inside it."""

    operand: Expression
    limit: int


@dataclass(frozen=True, slots=True)
class Join:
    """Runs its operands side by side and fuses what they give. A join inside a join is a fusion of its own."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Hands each operand what the one before it gave. Never directly inside another chain: chaining is associative."""

    operands: tuple[Expression, ...]


Expression: TypeAlias = Union[Leaf, Prior, Cut, Join, Chain]


def parse(text: str, *, field: str = "pipeline") -> Expression:
    """Reads an expression. Raises `InvalidExpression` at the column where it stops making sense."""
    _check_size(text, field)
    try:
        tree: Expression = _Builder(text, field).transform(_PARSER.parse(text))
        return tree
    except VisitError as error:
        if isinstance(error.orig_exc, InvalidExpression):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        message, column = _explained(error, text)
        raise InvalidExpression(message, expression=text, column=column, field=field) from None


def to_text(expression: Expression) -> str:
    """The canonical form, which reads back as the same expression."""
    match expression:
        case Leaf(name):
            return name
        case Prior():
            return "prior"
        case Cut(operand, limit):
            return f"{_grouped(operand, Join, Chain)} % {limit}"
        case Join(operands):
            return " | ".join(_grouped(each, Join, Chain) for each in operands)
        case Chain(operands):
            return " >> ".join(_grouped(each, Chain) for each in operands)


def leaves(expression: Expression) -> Iterator[Leaf | Prior]:
    """Every stage name and every `prior`, from left to right."""
    match expression:
        case Leaf() | Prior():
            yield expression
        case Cut(operand, _):
            yield from leaves(operand)
        case Join(operands) | Chain(operands):
            for operand in operands:
                yield from leaves(operand)


def has_join(expression: Expression) -> bool:
    """Whether anything in it is fused."""
    match expression:
        case Join():
            return True
        case Cut(operand, _):
            return has_join(operand)
        case Chain(operands):
            return any(map(has_join, operands))
    return False


def validate(
    expression: Expression,
    roles: Mapping[str, StageRole],
    *,
    text: str,
    has_input: bool = False,
    field: str = "pipeline",
) -> None:
    """Raises `InvalidExpression` unless every stage exists, stands where its role can, and stands there once.

    `has_input` says that an order comes in with the request, as in a rerank.
    """
    _Validator(roles, text, field).check(expression, has_input)


class _Validator:
    def __init__(self, roles: Mapping[str, StageRole], text: str, field: str) -> None:
        self._roles, self._text, self._field = roles, text, field

    def check(self, expression: Expression, has_input: bool) -> None:
        self._check_names(expression)
        operands = list(expression.operands) if isinstance(expression, Chain) else [expression]
        for role in (StageRole.GENERATOR, StageRole.CONTEXT_BUILDER):
            if isinstance(operands[-1], Leaf) and self._roles[operands[-1].name] is role:
                has_answer_end = operands.pop()
                if not operands:
                    if not has_input:
                        raise self._error(has_answer_end, f"{to_text(has_answer_end)!r} has nothing to read")
                    return
        for operand in operands:
            self._check(operand, has_input)
            has_input = True

    def _check(self, expression: Expression, has_input: bool) -> None:
        match expression:
            case Prior() if not has_input:
                raise self._error(expression, "nothing stands before `prior`")
            case Leaf(name):
                self._check_leaf(expression, self._roles[name], has_input)
            case Cut(operand, _):
                self._check(operand, has_input)
            case Join(operands):
                for operand in operands:
                    self._check(operand, has_input)
            case Chain(operands):
                for operand in operands:
                    self._check(operand, has_input)
                    has_input = True

    def _check_leaf(self, leaf: Leaf, role: StageRole, has_input: bool) -> None:
        if role is StageRole.RETRIEVER and has_input:
            raise self._error(leaf, f"the retriever {leaf.name!r} cannot stand after `>>`: it takes no order in")
        if role is StageRole.RERANKER and not has_input:
            raise self._error(
                leaf, f"the reranker {leaf.name!r} has nothing to rank: put a retriever and `>>` before it"
            )
        if role in (StageRole.GENERATOR, StageRole.CONTEXT_BUILDER):
            raise self._error(
                leaf, f"the {role.value.replace('_', ' ')} {leaf.name!r} belongs at the end: `>> {leaf.name}`"
            )

    def _check_names(self, expression: Expression) -> None:
        seen: set[str] = set()
        for leaf in leaves(expression):
            if isinstance(leaf, Prior):
                continue
            if leaf.name not in self._roles:
                raise self._error(leaf, f"no stage named {leaf.name!r}; {_suggestion(leaf.name, self._roles)}")
            if leaf.name in seen:
                raise self._error(leaf, f"{leaf.name!r} stands here twice: configure a second stage to run it again")
            seen.add(leaf.name)

    def _error(self, at: Expression, message: str) -> InvalidExpression:
        column = next(leaves(at)).column
        return InvalidExpression(message, expression=self._text, column=column, field=self._field)


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Builds the expression from the parse tree, bottom up."""

    def __init__(self, text: str, field: str) -> None:
        super().__init__()
        self._text, self._field = text, field

    def leaf(self, name: Token) -> Expression:
        column = (name.start_pos or 0) + 1
        return Prior(column) if name == "prior" else Leaf(str(name), column)

    def group(self, inner: Expression) -> Expression:
        return inner

    def cut(self, operand: Expression, limit: Token) -> Expression:
        count = int(limit)
        if not 1 <= count <= LARGEST_LIMIT:
            message = f"a limit is from 1 to {LARGEST_LIMIT:,}"
            column = (limit.start_pos or 0) + 1
            raise InvalidExpression(message, expression=self._text, column=column, field=self._field)
        return Cut(operand, count)

    def join(self, *operands: Expression) -> Expression:
        return Join(operands)

    def chain(self, *operands: Expression) -> Expression:
        flat: list[Expression] = []
        for operand in operands:
            flat.extend(operand.operands if isinstance(operand, Chain) else (operand,))
        return Chain(tuple(flat))


_PARSER = Lark(_GRAMMAR, parser="lalr")
_EXPECTED = {"NAME": "a stage", "LIMIT": "a number", "LPAR": "`(`", "RPAR": "`)`", "PERCENT": "`%`", "VBAR": "`|`"}


def _check_size(text: str, field: str) -> None:
    depth = cuts = 0
    for column, character in enumerate(text, 1):
        depth += {"(": 1, ")": -1}.get(character, 0)
        cuts += character == "%"
        if column > MOST_CHARACTERS or depth > DEEPEST or cuts > MOST_CUTS:
            most = f"{MOST_CHARACTERS:,} characters, {DEEPEST} nested parentheses and {MOST_CUTS} limits"
            message = f"too long or too deep: at most {most}"
            raise InvalidExpression(message, expression=text[:MOST_CHARACTERS], column=column, field=field)


def _explained(error: UnexpectedInput, text: str) -> tuple[str, int]:
    if isinstance(error, UnexpectedCharacters):
        place = error.pos_in_stream or 0
        return f"unexpected character {text[place]!r}", place + 1
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        allowed = sorted(_EXPECTED.get(each, "`>>`") for each in error.accepts or error.expected if each != "$END")
        wanted = " or ".join(dict.fromkeys(allowed)) or "the end"
        return f"expected {wanted}, not {str(error.token)!r}", (error.token.start_pos or 0) + 1
    return "the expression ends too early" if text.strip() else "the expression is empty", len(text) + 1


def _grouped(expression: Expression, *kinds: type) -> str:
    text = to_text(expression)
    return f"({text})" if isinstance(expression, kinds) else text


def _suggestion(name: str, roles: Mapping[str, StageRole]) -> str:
    near = difflib.get_close_matches(name, roles, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(roles)) or 'none'}"
