"""Every error has a reason of its own and a place in the tree."""

from __future__ import annotations

import re

from tamis import errors
from tamis.errors import TamisError

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, TamisError)]


def test_reasons_are_unique_and_well_formed() -> None:
    reasons = [each.reason for each in CLASSES]
    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+[A-Z0-9]", each) and len(each) <= 63 for each in reasons)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^\s+[│├└─ ]*(\w+)(?: +([A-Z_]{3,}))?", errors.__doc__ or "", re.MULTILINE)
    listed = {name: code for name, code in drawn if name[0].isupper() and name.isidentifier() and hasattr(errors, name)}
    assert set(listed) == {each.__name__ for each in CLASSES}
    for each in CLASSES:
        if each is not TamisError:
            assert listed[each.__name__] == each.code.name
