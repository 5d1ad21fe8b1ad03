"""Every error a caller may be told about, each with its status code and its reason.

    TamisError
    ├── InvalidRequest          INVALID_ARGUMENT      field violations a person can act on
    ├── InvalidExpression       INVALID_ARGUMENT      a pipeline expression, with its column
    ├── MalformedMessage        INVALID_ARGUMENT      bytes that are no message
    ├── Unauthenticated         UNAUTHENTICATED       a call that does not say for whom it is made
    ├── PermissionDenied        PERMISSION_DENIED     what only an operator may do
    ├── NotFound                NOT_FOUND             a collection, document, pipeline or stage
    ├── AlreadyExists           ALREADY_EXISTS
    ├── Overloaded              RESOURCE_EXHAUSTED    retry after a while
    ├── Unavailable             UNAVAILABLE           a part everything here needs cannot be reached
    ├── IndexBehind             UNAVAILABLE           an index has not yet applied what the search must see
    ├── DeadlineExceeded        DEADLINE_EXCEEDED     nothing could be returned in time
    ├── Aborted                 ABORTED               somebody else's change came first
    ├── Superseded              ABORTED               another server writes this index by now
    ├── FailedPrecondition      FAILED_PRECONDITION   something else has to be done, or to end, first
    ├── Unusable                INVALID_ARGUMENT      a document that an index can never take
    ├── JournalDamaged          DATA_LOSS             a page of the journal holds something else
    └── ConfigurationError      FAILED_PRECONDITION   only at start, with file, line and column

Anything else that escapes is a bug: it is logged with its traceback and told to the client as INTERNAL
with a fixed text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Code",
    "ConfigurationError",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "IndexBehind",
    "InvalidExpression",
    "InvalidRequest",
    "JournalDamaged",
    "MalformedMessage",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "Superseded",
    "TamisError",
    "Unauthenticated",
    "Unavailable",
    "Unusable",
]


class Code(Enum):
    """The gRPC status codes that Tamis answers with, by their canonical number."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is wrong: its path in the request (`filter.and[1].field`) and what is allowed."""

    field: str
    description: str


class TamisError(Exception):
    """An expected failure. The message is for people and may be shown to the caller as it stands."""

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})

    @property
    def violations(self) -> Sequence[FieldViolation]:
        """The request fields to blame; empty when no single field is."""
        return ()

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the same call may succeed, or None when waiting does not help."""
        return None


class InvalidRequest(TamisError):
    """The request can never succeed as it is."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_REQUEST"

    def __init__(self, *violations: FieldViolation) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self._violations = violations

    @classmethod
    def of(cls, field: str, description: str) -> InvalidRequest:
        """The common case of one wrong field."""
        return cls(FieldViolation(field, description))

    @property
    def violations(self) -> Sequence[FieldViolation]:
        return self._violations


class InvalidExpression(TamisError):
    """A pipeline expression that cannot be read or makes no sense; `column` counts characters from 1."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_EXPRESSION"

    def __init__(self, message: str, *, expression: str, column: int, field: str = "pipeline") -> None:
        super().__init__(message, metadata={"column": str(column)})
        self.expression = expression
        self.column = column
        self.field = field

    @property
    def violations(self) -> Sequence[FieldViolation]:
        return (FieldViolation(self.field, f"column {self.column}: {self.message}"),)

    def __str__(self) -> str:
        return f"column {self.column}: {self.message}\n  {self.expression}\n  {' ' * (self.column - 1)}^"


class MalformedMessage(TamisError):
    """The bytes of a request are not the message they should be."""

    code = Code.INVALID_ARGUMENT
    reason = "MALFORMED_MESSAGE"


class NotFound(TamisError):
    """A named thing does not exist; the message says which, and what there is instead."""

    code = Code.NOT_FOUND
    reason = "NOT_FOUND"

    def __init__(self, kind: str, name: str, *, available: Sequence[str] = (), field: str = "") -> None:
        known = f"; there are: {', '.join(sorted(available))}" if available else ""
        super().__init__(f"no {kind} named {name!r}{known}", metadata={"kind": kind, "name": name})
        self._field = field

    @property
    def violations(self) -> Sequence[FieldViolation]:
        return (FieldViolation(self._field, self.message),) if self._field else ()


class Unauthenticated(TamisError):
    """The call does not say, or not in a way that can be trusted, for which tenant it is made."""

    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDenied(TamisError):
    """Only an operator, a caller without a tenant, may do this. Never said of what the caller may not know of."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class AlreadyExists(TamisError):
    """A thing of that name exists."""

    code = Code.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class Overloaded(TamisError):
    """A bounded queue is full; the work was not started."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "OVERLOADED"

    def __init__(
        self, message: str, *, retry_after: float | None = 1.0, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, metadata=metadata)
        self._retry_after = retry_after

    @property
    def retry_after(self) -> float | None:
        return self._retry_after


class Unavailable(TamisError):
    """A dependency that the request cannot do without did not answer."""

    code = Code.UNAVAILABLE
    reason = "UNAVAILABLE"

    @property
    def retry_after(self) -> float | None:
        return 1.0


class IndexBehind(TamisError):
    """An index that a search reads has not applied the sequence it must see, in the time there was to wait for it."""

    code = Code.UNAVAILABLE
    reason = "INDEX_BEHIND"

    def __init__(self, stage: str, applied_sequence: int, wanted_sequence: int) -> None:
        message = f"the index of {stage!r} has applied {applied_sequence} of the {wanted_sequence} changes asked for"
        super().__init__(message, metadata={"stage": stage, "applied_sequence": str(applied_sequence)})

    @property
    def retry_after(self) -> float | None:
        return 1.0


class DeadlineExceeded(TamisError):
    """The deadline passed before there was anything to return."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class Aborted(TamisError):
    """Another change came first; read again and decide again."""

    code = Code.ABORTED
    reason = "ABORTED"


class FailedPrecondition(TamisError):
    """What is asked for cannot be done as things stand; the message says what has to come first."""

    code = Code.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"


class Superseded(TamisError):
    """Another server follows the journal for a shared index, in a later epoch."""

    code = Code.ABORTED
    reason = "SUPERSEDED"


class Unusable(TamisError):
    """A document that an index can never take. The message says why, and never a part of the document."""

    code = Code.INVALID_ARGUMENT
    reason = "UNUSABLE_DOCUMENT"

    def __init__(self, document_id: str, message: str) -> None:
        super().__init__(message, metadata={"document_id": document_id})
        self.document_id = document_id


class JournalDamaged(TamisError):
    """The journal's file is not what was written to it. Only a backup helps."""

    code = Code.DATA_LOSS
    reason = "JOURNAL_DAMAGED"


class ConfigurationError(TamisError):
    """The configuration cannot be served. Raised at start only.

    `path` names the file, `line` and `column` count from 1; each is None where it is not known.
    """

    code = Code.FAILED_PRECONDITION
    reason = "INVALID_CONFIGURATION"

    def __init__(
        self, message: str, *, path: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.path, self.line, self.column = path, line, column

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return f"{where}: {self.message}" if where else self.message
