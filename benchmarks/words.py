"""What phrases, excerpts and suggestions cost in the tantivy plugin, on made-up passages.

    python benchmarks/words.py [--passages 100000]

The words are syllables in a row, as frequent as Zipf's law says; the same for everyone. Every tenth passage is misspelt
somewhere, as real ones are.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import accumulate
from pathlib import Path

from tamis.context import Call
from tamis.model import Change, Passage, Query
from tamis_tantivy import TantivyRetriever
from tamis_tantivy.index import TantivyIndex

_SYLLABLES = [
    *("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri"),
    *("so", "tu", "va", "we", "xi", "yo", "zu", "str", "ing", "er", "ta", "on", "th"),
]
_WORD_COUNT = 200_000
_PASSAGE_LENGTH = 140  # words
_BATCH = 2_000


def main() -> None:
    """Builds an index, asks it, prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(parser.parse_args().passages, Path(folder)))


async def _run(count: int, folder: Path) -> None:
    rng = random.Random(7)
    words = _vocabulary(rng)
    texts = list(_texts(rng, words, count))
    retriever = TantivyRetriever(TantivyRetriever.Settings())
    index = await retriever.open_index("c", 1, directory=folder / "index")
    print(f"{count:,} passages indexed in {await _fill(index, texts):.1f} s of this process's time")
    await index.close()
    index = await retriever.open_index("c", 1, directory=folder / "index")
    sizes = _sizes(folder / "index")
    print(f"index {sum(sizes.values()) / 1e6:,.1f} MB: " + ", ".join(f"{k} {v / 1e6:,.1f}" for k, v in sizes.items()))
    common, rare = words[:300], words[2_000:60_000]
    two = [" ".join(rng.choice(texts).split()[3:5]) for _ in range(100)]

    async def search(text: str) -> object:
        return await retriever.retrieve(Query(text, "c"), limit=50, call=Call())

    async def bare(text: str) -> object:
        call = Call(options={"snippet_length": 0})
        return await retriever.retrieve(Query(text, "c"), limit=50, call=call)

    async def suggest(text: str) -> object:
        return await retriever.suggest(Query(text, "c"), call=Call())

    await _time("two words, no snippets", bare, two)
    await _time("two words", search, two)
    await _time("the same as a phrase", search, [f'"{each}"' for each in two])
    await _time("two common words as a phrase", search, [f'"{" ".join(rng.sample(common, 2))}"' for _ in range(100)])
    await _time("a passage of 140 words", search, rng.sample(texts, 50))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, some in (("common", common), ("rare", rare)):
        typos = [(word, _misspelt(rng, word)) for word in rng.sample(some, 100)]
        await _time(f"suggestion for a {name} word", suggest, [typo for _, typo in typos])
        mended = [await suggest(typo) == word for word, typo in typos]
        print(f"{'':34} {sum(mended)} of {len(mended)} as they were meant")
    await _time("two known words", suggest, two)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"suggestions took {growth / 1024:.1f} MB more at most")
    await retriever.close()


async def _fill(index: object, texts: list[str]) -> float:
    assert isinstance(index, TantivyIndex)
    started = time.process_time()
    for start in range(0, len(texts), _BATCH):
        some = list(enumerate(texts[start : start + _BATCH], start + 1))
        changes = [
            Change(number, str(number), (Passage(f"{number}/0", str(number), number, text),)) for number, text in some
        ]
        await index.apply(changes, upto=some[-1][0])
    return time.process_time() - started


async def _time(name: str, ask: Callable[[str], Awaitable[object]], texts: list[str]) -> None:
    took, busy = [], time.process_time()
    for text in texts:
        started = time.perf_counter()
        await ask(text)
        took.append((time.perf_counter() - started) * 1_000)
    busy = (time.process_time() - busy) * 1_000 / len(texts)
    took.sort()
    slow = took[int(len(took) * 0.95)]
    print(f"{name:34} median {statistics.median(took):6.1f} ms, 95 % {slow:6.1f} ms, {busy:6.1f} ms of the processor")


def _vocabulary(rng: random.Random) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < _WORD_COUNT:
        found["".join(rng.choices(_SYLLABLES, k=rng.choice((2, 2, 3, 3, 3, 4, 4, 5))))] = None
    return list(found)


def _texts(rng: random.Random, words: list[str], count: int) -> Iterator[str]:
    weights = list(accumulate(1 / (rank + 2) for rank in range(len(words))))
    for number in range(count):
        chosen = rng.choices(words, cum_weights=weights, k=_PASSAGE_LENGTH)
        if number % 10 == 0:
            chosen[0] = _misspelt(rng, chosen[0])
        yield " ".join(chosen)


def _misspelt(rng: random.Random, word: str) -> str:
    """One letter left out, doubled, changed, or two exchanged, behind the first."""
    at = rng.randrange(1, len(word) - 1) if len(word) > 2 else 0
    kinds = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + rng.choice("qwrtplkjh") + word[at + 1 :],
        word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
    )
    return rng.choice(kinds)


def _sizes(directory: Path) -> dict[str, int]:
    """Bytes by kind of file."""
    sizes: dict[str, int] = {}
    for file in directory.iterdir():
        sizes[file.suffix or file.name] = sizes.get(file.suffix or file.name, 0) + file.stat().st_size
    return sizes


if __name__ == "__main__":
    main()
