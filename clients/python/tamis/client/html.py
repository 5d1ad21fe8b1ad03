"""Hits as HTML for notebooks: what was found, and the path each hit took through the stages.

Styles stand on the elements and colours are the page's own, thinned out: it can be read on light and on dark, and where
a notebook strips style sheets. Every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tamis.client.enums import ScoreKind, StageOutcome
from tamis.client.hits import Hit, StageScore
from tamis.client.results import SearchResult, StageReport

__all__ = ["hits_as_html", "result_as_html"]

_LONGEST_TEXT = 320
_FAINT = "opacity:.7;font-size:.85em"
_TABLE = "border-collapse:collapse;width:100%;max-width:72em;color:inherit;font-size:inherit"
_CELL = (
    "text-align:left;vertical-align:top;padding:.45em .7em;white-space:normal;"
    "border-top:1px solid rgba(128,128,128,.35)"
)
_CHIP = (
    "display:inline-block;padding:.05em .5em;margin:.25em 0 .1em;border:1px solid rgba(128,128,128,.55);"
    "border-radius:.8em;font-size:.85em;white-space:nowrap"
)
_MARK = "background:rgba(255,196,0,.35);color:inherit;border-radius:.2em"
_TROUBLE = {
    StageOutcome.PARTIAL: "rgba(214,158,46,.9)",
    StageOutcome.SKIPPED: "rgba(214,158,46,.9)",
    StageOutcome.FELL_BACK: "rgba(224,82,82,.9)",
    StageOutcome.UNREACHABLE: "rgba(224,82,82,.9)",
}


def hits_as_html(hits: Sequence[Hit]) -> str:
    """A table with a row for each hit."""
    if not hits:
        return f'<div style="{_FAINT}">no hits</div>'
    rows = "".join(_row(rank, each) for rank, each in enumerate(hits, 1))
    return f'<table style="{_TABLE}"><tbody>{rows}</tbody></table>'


def result_as_html(result: SearchResult) -> str:
    """The answer, the hits, and how each stage fared."""
    parts = [hits_as_html(result.hits)]
    if result.answer.text:
        parts.insert(0, f'<p style="max-width:60em;font-size:1.05em;white-space:pre-wrap">{_answer(result)}</p>')
    if result.suggested_query:
        parts.append(f'<p style="{_FAINT}">did you mean: {escape(result.suggested_query)}</p>')
    if result.stage_reports:
        parts.append(f'<p style="margin:.6em 0">{" ".join(map(_outcome, result.stage_reports))}</p>')
    if result.pipeline:
        parts.append(f'<p style="{_FAINT}"><code>{escape(result.pipeline)}</code></p>')
    return f"<div>{''.join(parts)}</div>"


def _row(rank: int, hit: Hit) -> str:
    passage = hit.passage
    title = passage.title or passage.document_id or passage.id
    about = [each for each in (passage.document_id, " › ".join(passage.heading_path), _place(hit)) if each != title]
    score = "" if hit.score is None else f"<br>{_number(hit.score)}{_kind(hit.score_kind)}"
    return (
        f'<tr style="background:transparent"><td style="{_CELL};text-align:right"><b>{rank}</b></td>'
        f'<td style="{_CELL}"><b>{escape(title)}</b> <span style="{_FAINT}">{escape(" · ".join(filter(None, about)))}'
        f"</span><br>{_text(hit)}<br>{_path(hit.stage_scores)}</td>"
        f'<td style="{_CELL};{_FAINT};white-space:nowrap">{score.removeprefix("<br>")}</td></tr>'
    )


def _place(hit: Hit) -> str:
    found = hit.passage.locator
    if found is None or not (found.first_page or found.first_line):
        return ""
    if found.first_page:
        return f"p. {found.first_page}" + (f"-{found.last_page}" if found.last_page > found.first_page else "")
    return f"line {found.first_line}" + (f"-{found.last_line}" if found.last_line > found.first_line else "")


def _text(hit: Hit) -> str:
    if hit.snippet:
        return "".join(
            f'<mark style="{_MARK}">{escape(piece)}</mark>' if is_marked else escape(piece)
            for piece, is_marked in hit.highlighted
        )
    text = hit.passage.text
    return escape(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…")


def _path(scores: Iterable[StageScore]) -> str:
    return ' <span style="opacity:.6">→</span> '.join(map(_chip, scores))


def _chip(score: StageScore) -> str:
    words = f"{escape(score.stage)} <b>#{score.rank}</b>" if score.rank else escape(score.stage)
    value = "" if score.score is None else f' <span style="opacity:.7">{_number(score.score)}</span>'
    tip = " + ".join(f"{each.stage} #{each.rank}: {_number(each.value)}" for each in score.contributions)
    tip = tip or (str(score.score_kind) if score.score_kind else "ranks only")
    return f'<span style="{_CHIP}" title="{escape(tip)}">{words}{value}</span>'


def _outcome(report: StageReport) -> str:
    colour = _TROUBLE.get(report.outcome, "rgba(128,128,128,.55)")
    why = f": {report.reason}" if report.reason else ""
    words = f"{escape(report.stage)} {report.elapsed_seconds * 1_000:,.0f} ms"
    if report.outcome is not StageOutcome.RAN:
        words += f" <b>{escape(f'{report.outcome}{why}')}</b>"
    tip = f"{report.role}, {report.done_count:,} of {report.total_count:,} in {report.budget_seconds:.3g} s given"
    tip = "; ".join((tip, *report.notes))
    return f'<span style="{_CHIP};border-color:{colour}" title="{escape(tip)}">{words}</span>'


def _answer(result: SearchResult) -> str:
    """The text with a number behind what a hit supports: the hit's place in the list."""
    places = {each.id: rank for rank, each in enumerate(result.hits, 1)}
    packed, at, pieces = result.answer.text.encode(), 0, list[str]()
    marks: dict[int, list[str]] = {}
    for each in result.answer.citations:
        mark = str(places.get(each.passage_id, "?"))
        if mark not in marks.setdefault(each.answer_span.end, []):
            marks[each.answer_span.end].append(mark)
    for end in sorted(marks):
        pieces.append(f"{escape(packed[at:end].decode())}<sup>[{escape(','.join(marks[end]))}]</sup>")
        at = end
    return "".join(pieces) + escape(packed[at:].decode())


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"


def _kind(kind: ScoreKind | None) -> str:
    return f"<br>{escape(str(kind))}" if kind else ""
