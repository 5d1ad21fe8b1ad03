"""Random metadata that is hard on an index, and filters that are hard on the metadata: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import inf, nextafter

from tamis.filters import And, Compare, Exists, Filter, In, Not, Operator, Or, Scalar, matches
from tamis.model import Value

__all__ = ["NAMES", "Material"]

NAMES = (
    *("n", "s", "t", "mixed", "é", "e\u0301", "ключ", "a.b", "a", "b", "a[].b", 'a."b"', "a[0]", "$where", "*", "-1"),
    *('{"a":1}', "n:[1 TO 2]", "x' OR '1'='1", "terms", "p", "d", "v", "nul\0", "\n\t\x1b", "\\", " ", "k" * 2_000),
)
"""Keys that somebody could take for syntax, among them the fields that the indexes themselves have."""

_EARLY, _LATE = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 1.7976931348623157e308
_NUMBERS: tuple[int | float, ...] = (
    *(-1, 0, 1, 2, 3, 255, 256, 2_026, 1 << 29, (1 << 29) + 1, 1 << 53, (1 << 53) + 1, (1 << 53) - 1, -(1 << 53) - 1),
    *((1 << 63) - 1, -(1 << 63), (1 << 62) + 1, 1_767_225_600_000_000_001),
    *(-0.0, 0.1, -0.1, 1.5, 5e-324, -5e-324, 2.2e-308, _LARGEST, -_LARGEST, 1e300, 2.0**63, -(2.0**63), 3.0),
)
_STRINGS = (
    *(
        "",
        "a",
        "A",
        "b",
        "aa",
        "ab",
        "abcde",
        "abcdef",
        "abcdeg",
        "abcde\0",
        "a\0",
        "\0",
        "1",
        "null",
        "true",
        "2026-01",
    ),
    *("é", "e\u0301", "ü", "uü", "東京", "東京都", "\uffff", "𝄞", "\U0010ffff", "zzzzz", "zzzzzz", "x" * 50_000),
    *(
        "a AND b",
        "terms:*",
        "[* TO *]",
        '{"match":{"any":["-"]}}',
        "'; DROP TABLE documents; --",
        "-",
        '"',
        "\\",
        "x" * 51,
    ),
)
_INSTANTS = (
    *(_EARLY, _EARLY + _MICROSECOND, _LATE, _LATE - _MICROSECOND, datetime(1970, 1, 1, tzinfo=UTC), _NOON),
    *(_NOON + _MICROSECOND, _NOON - _MICROSECOND, _NOON + timedelta(seconds=1), datetime(1969, 12, 31, 23, tzinfo=UTC)),
)
_ORDERINGS = (Operator.LESS, Operator.LESS_OR_EQUAL, Operator.GREATER, Operator.GREATER_OR_EQUAL)


class Material:
    """Documents' metadata, and any number of filters on it."""

    def __init__(self, seed: int, count: int) -> None:
        self._random = random.Random(seed)
        self._paths: dict[tuple[str, ...], list[Scalar]] = {}
        self.documents: list[dict[str, Value]] = [self._document() for _ in range(count)]
        for each in self.documents:
            self._note(each, ())
        self._usual = sorted(self._paths, key=lambda path: (-len(self._paths[path]), path))[:12]

    def filters(self, count: int) -> Iterator[Filter]:
        """Of every operator, most of which some documents satisfy and some do not."""
        for _ in range(count):
            drawn = self._drawn()
            yield drawn if self._tells_apart(drawn) else self._drawn()

    def _drawn(self) -> Filter:
        return self._filter(self._random.choice((0, 0, 1, 1, 2, 3)))

    def _tells_apart(self, filter: Filter) -> bool:
        return len({matches(filter, each) for each in self.documents[:50]}) == 2

    def _filter(self, depth: int) -> Filter:
        if depth == 0:
            return self._condition()
        kind = self._random.randrange(5)
        if kind == 0:
            return Not(self._filter(depth - 1))
        operands = tuple(self._filter(depth - 1) for _ in range(self._random.choice((0, 1, 2, 2, 2, 3))))
        return And(operands) if kind < 3 else Or(operands)

    def _condition(self) -> Filter:
        path = self._path()
        match self._random.randrange(10):
            case 0:
                return Exists(path)
            case 1:
                return In(path, tuple(self._operand(path) for _ in range(self._random.choice((0, 1, 3, 20)))))
            case 2:
                return Compare(path, Operator.EQUAL, self._operand(path))
            case 3:
                return Compare(path, Operator.NOT_EQUAL, self._operand(path))
            case _:
                value = self._operand(path)
                while value is None or isinstance(value, bool):
                    value = self._scalar()
                return Compare(path, self._random.choice(_ORDERINGS), value)

    def _path(self) -> tuple[str, ...]:
        """One that many documents have, mostly; now and then one that few have or none."""
        chance = self._random.random()
        if chance < 0.8:
            return self._random.choice(self._usual)
        return self._random.choice([*self._paths]) if chance < 0.95 else (self._random.choice(NAMES), "b")

    def _operand(self, path: tuple[str, ...]) -> Scalar:
        """A value that is there, or a neighbour of it."""
        there = self._paths.get(path)
        value = self._random.choice(there) if there else self._scalar()
        return value if self._random.random() < 0.6 else self._neighbour(value)

    def _neighbour(self, value: Scalar) -> Scalar:
        if value is None or isinstance(value, bool):
            return self._scalar()
        if isinstance(value, int):
            return self._random.choice((max(value - 1, -(1 << 63)), min(value + 1, (1 << 63) - 1), float(value)))
        if isinstance(value, float):
            beside = nextafter(value, self._random.choice((-inf, inf)))
            return beside if abs(beside) != inf else value
        if isinstance(value, str):
            return self._random.choice((value[:-1], value[:5], f"{value}\0", f"{value}a", value.upper()))
        return (
            max(_EARLY + _MICROSECOND, min(_LATE - _MICROSECOND, value)) + self._random.choice((-1, 1)) * _MICROSECOND
        )

    def _document(self) -> dict[str, Value]:
        """The first names nearly always, each with values of its type mostly; of the odd ones a few."""
        found: dict[str, Value] = {}
        for name, usual in (("n", self._number), ("s", self._string), ("t", self._instant), ("mixed", self._scalar)):
            if self._random.random() < 0.85:
                found[name] = usual() if self._random.random() < 0.7 else self._value(2)
        for name in self._random.sample(NAMES[4:], 5):
            found[name] = self._value(3)
        return found

    def _value(self, depth: int) -> Value:
        kind = self._random.random()
        if depth == 0 or kind < 0.5:
            return self._scalar()
        if kind < 0.75:
            return [self._value(depth - 1) for _ in range(self._random.randrange(4))]
        names = self._random.sample(NAMES[6:12], self._random.randrange(3))
        return {name: self._value(depth - 1) for name in names}

    def _scalar(self) -> Scalar:
        kinds = (self._number, self._number, self._string, self._string, self._instant, self._flag)
        return self._random.choice(kinds)()

    def _number(self) -> Scalar:
        match self._random.randrange(5):
            case 0:
                return self._random.choice(_NUMBERS)
            case 1:
                return self._random.gauss(0, 10)
            case 2:
                return self._random.randrange(-(1 << 63), 1 << 63) >> self._random.randrange(64)
        return self._random.randrange(-20, 100)

    def _string(self) -> Scalar:
        if self._random.random() < 0.5:
            return self._random.choice(_STRINGS)
        return "".join(self._random.choices("abcé𝄞", k=self._random.randrange(9)))

    def _instant(self) -> Scalar:
        if self._random.random() < 0.4:
            return self._random.choice(_INSTANTS)
        return _NOON + timedelta(
            seconds=self._random.randrange(-30, 30), microseconds=self._random.choice((0, 0, 1, 999_999))
        )

    def _flag(self) -> Scalar:
        return self._random.choice((None, True, False))

    def _note(self, value: Value, path: tuple[str, ...]) -> None:
        if isinstance(value, Mapping):
            for key, each in value.items():
                self._note(each, (*path, key))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for each in value:
                self._note(each, path)
        else:
            self._paths.setdefault(path, []).append(value)
