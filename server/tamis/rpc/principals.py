"""Who is calling, from a call's metadata: the one place to change when callers prove who they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar

from tamis.config import TENANT_ID, TenancyConfig
from tamis.context import Principal
from tamis.errors import Unauthenticated

__all__ = ["principal", "principal_of"]

principal: ContextVar[Principal] = ContextVar("principal", default=Principal())
"""Whom the current task serves."""

_TENANT = re.compile(TENANT_ID)


def principal_of(metadata: Iterable[tuple[str, str | bytes]], config: TenancyConfig) -> Principal:
    """For which tenant a call is made, as the configured header says: a proxy is trusted to have set it.

    Raises `Unauthenticated` when it is there but not once or not a tenant's id, or missing and required. An empty
    value is no id: what a proxy failed to fill in must not make its caller an operator.
    """
    if not config.header:
        return Principal()
    values = [value for key, value in metadata if key == config.header]
    if not values:
        if config.required:
            raise Unauthenticated(f"the call does not say for which tenant it is made: {config.header} is missing")
        return Principal()
    if len(values) > 1:
        raise Unauthenticated(f"{config.header} is there {len(values)} times; it must be there once")
    (value,) = values
    if not isinstance(value, str) or not _TENANT.fullmatch(value):
        raise Unauthenticated(f"{config.header} is no tenant's id: 1 to 63 characters of a-z, 0-9, - and _")
    return Principal(tenant=value)
