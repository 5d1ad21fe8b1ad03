"""Builds the site from the pages where they are, and checks it: `python -m website.build`, within docs/."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from website import api, links, same

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGET = ROOT / "build/docs"
PROTOS = "protos/tamis/v1"
DECISIONS = "docs/decisions"

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
FENCE = re.compile(r"^ *(```|~~~)")
CODE = re.compile(r"`[^`]+`")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def listed(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The pages that a navigation names."""
    for entry in entries:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            else:
                yield from listed(value)


def pages() -> Iterator[str]:
    """The pages of the repository that a reader is meant to find."""
    yield from sorted(each.name for each in ROOT.glob("*.md"))
    for folder in ("benchmarks", "clients", "docs", "plugins"):
        below = (each.relative_to(ROOT) for each in (ROOT / folder).rglob("*.md"))
        yield from sorted(each.as_posix() for each in below if "node_modules" not in each.parts)


def lay_out(target: Path, names: list[str]) -> None:
    """Copies pages, and the files that they lead to, to the same places below `target`."""
    for name in names:
        page = target / name
        page.parent.mkdir(parents=True, exist_ok=True)
        lines, is_code = [], False
        for line in (ROOT / name).read_text().splitlines(keepends=True):
            is_code ^= FENCE.match(line) is not None
            lines.append(line if is_code else _line(line, name, target))
        page.write_text("".join(lines))


def _line(line: str, name: str, target: Path) -> str:
    if line.startswith("|"):  # in a table GitHub wants bars in code escaped, and Python-Markdown shows the backslash
        line = CODE.sub(lambda found: found[0].replace("\\|", "|"), line)
    return LINK.sub(lambda found: _link(found, name, target), line)


def _link(found: re.Match[str], name: str, target: Path) -> str:
    path, anchor = found[1], found[2] or ""
    source = (ROOT / name).parent / path
    if source.is_dir():
        return f"]({path.rstrip('/')}/README.md{anchor})"
    if source.is_file() and source.suffix != ".md":
        copy = target / source.resolve().relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    return found[0]


def decisions() -> str:
    """The decisions' own first page, and a list of them in their order."""
    lines = [(ROOT / DECISIONS / "README.md").read_text(), "\n"]
    for page in sorted((ROOT / DECISIONS).glob("[0-9]*.md")):
        title = page.read_text().partition("\n")[0].removeprefix("# ")
        lines.append(f"- {page.name[:4]} [{title}]({page.name})\n")
    return "".join(lines)


def main() -> int:
    shutil.rmtree(TARGET, ignore_errors=True)
    staged = TARGET / "pages"
    named = set(listed(tomllib.loads((HERE / "zensical.toml").read_text())["project"]["nav"]))
    known = list(pages())
    forgotten = {each for each in known if not each.startswith(DECISIONS)} - named
    if forgotten:
        print("docs/website/zensical.toml has no place for:", *sorted(forgotten), file=sys.stderr)
        return 1
    lay_out(staged, known)
    for name, text in api.pages(ROOT / "protos").items():
        (staged / PROTOS).mkdir(parents=True, exist_ok=True)
        (staged / PROTOS / name).write_text(text)
    (staged / DECISIONS / "README.md").write_text(decisions())
    shutil.copyfile(HERE / "site.css", staged / "site.css")
    shutil.copyfile(HERE / "zensical.toml", TARGET / "zensical.toml")
    zensical = Path(sys.executable).with_name("zensical")
    command = [zensical, "build", "--strict", "--config-file", TARGET / "zensical.toml"]
    built = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode:
        print(COLOURS.sub("", built.stdout), file=sys.stderr)
        return built.returncode
    problems = links.problems(TARGET / "html")
    for name in set(known) - {f"{DECISIONS}/README.md"}:
        built_page = (TARGET / "html" / same.page_of(name)).read_text()
        problems += (f"{name}: {each}" for each in same.differences((ROOT / name).read_text(), built_page))
    if problems:
        print(*sorted(problems), sep="\n", file=sys.stderr)
        return 1
    print(TARGET / "html/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
