"""Images never pass, links only if a passage has them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis_llm.links import LinkFilter

SOURCES = ['See https://docs.example.org/a for more, or <a href="https://docs.example.org/b">this</a>.']


def _filtered(text: str, size: int = 10_000) -> str:
    links = LinkFilter(SOURCES)
    return "".join(links.feed(text[start : start + size]) for start in range(0, len(text), size)) + links.end()


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("![x](https://evil.example/p.png?q=secret)", "x"),
        ("![x](https://docs.example.org/a)", "x"),
        ("![x][ref]", "x"),
        ("Go [there](https://evil.example/).", "Go there."),
        ("Go [there](javascript:alert(1)).", "Go there)."),
        ("Go [there](https://docs.example.org/a).", "Go [there](https://docs.example.org/a)."),
        ("It is so [1](https://evil.example/).", "It is so [1]."),
        ("It is so [1](https://docs.example.org/a).", "It is so [1]."),
        ("See https://evil.example/?q=secret.", "See ."),
        ("See HTTPS://evil.example and www.evil.example!", "See  and !"),
        ("See <https://evil.example/>.", "See <>."),
        ("See https://docs.example.org/a.", "See https://docs.example.org/a."),
        ("See https://docs.example.org/a?q=secret.", "See ."),
        ("See https://docs.example.org/ab.", "See ."),
        ("See https://docs.example.org/.", "See ."),
        ('<img src="https://evil.example/p.png">', ""),
        ('<IMG SRC=//evil.example/p.png alt="x">', ""),
        ('<a href="//evil.example">go</a>', "go</a>"),
        ('<a href="https://docs.example.org/b">go</a>', '<a href="https://docs.example.org/b">go</a>'),
        ("`![x](https://evil.example/)`", "`x`"),
    ],
)
def test_only_links_that_stand_in_a_source_pass(text: str, passed: str) -> None:
    for size in (1, 2, 3, 5, 10_000):
        assert _filtered(text, size) == passed


@pytest.mark.parametrize(
    "text",
    [
        "if (a < b && c > d)",
        "x != y",
        "not [a] but [b][c]",
        "wow! [1] [2].",
        "http is a protocol, www a web",
        "a <b>c</b>",
    ],
)
def test_what_is_no_link_passes_unchanged(text: str) -> None:
    for size in (1, 3, 10_000):
        assert _filtered(text, size) == text


@given(
    st.lists(
        st.sampled_from(
            ["![", "[", "](", ")", "https://evil.example/x", "www.evil.example", "<img src=", ">", " ", "a", "1"]
        )
    ),
    st.integers(1, 9),
)
def test_however_it_is_cut_no_foreign_address_passes(parts: list[str], size: int) -> None:
    passed = _filtered("".join(parts), size)
    assert not re.search(r"https?://evil|(?<!\w)www\.evil", passed)


def test_an_address_without_end_is_held_no_longer_than_it_may_be() -> None:
    links = LinkFilter([])
    passed = links.feed("https://evil.example/" + "a" * 3_000) + links.feed(" and so on")
    assert passed == " and so on"
