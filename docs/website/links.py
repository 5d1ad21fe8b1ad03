"""What is wrong with built pages: links and anchors that lead nowhere, and anything that is loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from selectolax.lexbor import LexborHTMLParser

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
IN_STYLES = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])((?:https?:)?//[^'")\s]+)""")


def problems(folder: Path) -> list[str]:
    """One line each for what is wrong below `folder`, by page; links to other sites are not followed."""
    trees = {page: LexborHTMLParser(page.read_text()) for page in sorted(folder.rglob("*.html"))}
    anchors = {page: _anchors(tree) for page, tree in trees.items()}
    found = [
        f"{page.relative_to(folder)}: {problem}"
        for page, tree in trees.items()
        for problem in (*_loaded(tree), *_broken(folder, page, tree, anchors))
    ]
    for sheet in sorted((*folder.rglob("*.css"), *folder.rglob("*.svg"))):
        found += (f"{sheet.relative_to(folder)}: loads {url}" for url in IN_STYLES.findall(sheet.read_text()))
    return found


def _anchors(tree: LexborHTMLParser) -> set[str]:
    return {value for node in tree.css("[id]") if (value := node.attributes["id"])} | {""}


def _loaded(tree: LexborHTMLParser) -> Iterator[str]:
    for tag, attribute in LOADED.items():
        for node in tree.css(f"{tag}[{attribute}]"):
            url = node.attributes[attribute] or ""
            if urlsplit(url).netloc and node.attributes.get("rel") != "canonical":
                yield f"loads {url}"
    for node in tree.css("style"):
        yield from (f"loads {url}" for url in IN_STYLES.findall(node.text()))


def _broken(folder: Path, page: Path, tree: LexborHTMLParser, anchors: dict[Path, set[str]]) -> Iterator[str]:
    for node in tree.css("a[href], img[src], script[src], link[href]"):
        link = node.attributes.get("href") or node.attributes.get("src") or ""
        url = urlsplit(link)
        if url.scheme or url.netloc:
            continue
        path = unquote(url.path)
        target = folder / path[1:] if path.startswith("/") else (page.parent / path).resolve() if path else page
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            yield f"{link} leads nowhere"
        elif target.suffix == ".html" and unquote(url.fragment) not in anchors[target]:
            yield f"{link} has no such place"
