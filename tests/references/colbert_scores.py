"""Scores the tiny ColBERT checkpoints by the libraries of those who publish such, into colbert.json beside this file.

python tests/references/colbert_scores.py pylate       # with pylate 1.6.0, transformers 5.3
python tests/references/colbert_scores.py colbert-ai   # with colbert-ai 0.2.22, transformers 4.49
python tests/references/colbert_scores.py sentence-transformers   # with sentence-transformers 6.2.0
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from checkpoints import colbert as made

Score = Callable[[Sequence[str], Sequence[str]], list[list[float]]]
STANFORD = {
    "stanford": made.save_stanford,
    "stanford, attending, with punctuation": made.save_attending_stanford,
    "xlm-roberta": made.save_xlm_roberta_stanford,
}
PYLATE = {
    "pylate": made.save_pylate,
    "modernbert": made.save_modern_pylate,
    "unexpanded": made.save_unexpanded_pylate,
}
NATIVE = {"sentence-transformers": made.save_sentence_transformers}


def by_pylate(folder: Path) -> Score:
    from pylate import models, scores

    model = models.ColBERT(str(folder), device="cpu")

    def score(queries: Sequence[str], texts: Sequence[str]) -> list[list[float]]:
        asked = model.encode(list(queries), is_query=True, convert_to_tensor=True)
        found = model.encode(list(texts), is_query=False, convert_to_tensor=True)
        return [[float(scores.colbert_scores(query[None], text[None])) for text in found] for query in asked]

    return score


def by_colbert_ai(folder: Path) -> Score:
    import torch
    from colbert.infra import ColBERTConfig
    from colbert.modeling.colbert import ColBERT, colbert_score
    from colbert.modeling.tokenization import DocTokenizer, QueryTokenizer

    ColBERT.loaded_extensions = True  # or it compiles some
    config = ColBERTConfig.from_existing(
        ColBERTConfig.load_from_checkpoint(str(folder)), ColBERTConfig(checkpoint=str(folder))
    )
    model = ColBERT(str(folder), colbert_config=config)
    if not config.mask_punctuation:
        model.skiplist = {}
    read_query, read_text = QueryTokenizer(config, verbose=0), DocTokenizer(config)

    def score(queries: Sequence[str], texts: Sequence[str]) -> list[list[float]]:
        with torch.no_grad():
            found, mask = model.doc(*read_text.tensorize(list(texts)), keep_dims="return_mask")
            asked = [model.query(*read_query.tensorize([query])) for query in queries]
            return [colbert_score(each, found, mask, config=config).tolist() for each in asked]

    return score


def by_sentence_transformers(folder: Path) -> Score:
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(folder), device="cpu")

    def score(queries: Sequence[str], texts: Sequence[str]) -> list[list[float]]:
        asked, found = model.encode_query(list(queries)), model.encode_document(list(texts))
        return [[float(model.similarity([query], [text])) for text in found] for query in asked]

    return score


# PyLate skips punctuation whatever colbert-ai's metadata say.
BY_PYLATE = {name: save for name, save in {**PYLATE, **STANFORD}.items() if "with punctuation" not in name}
LIBRARIES: dict[str, tuple[Callable[[Path], Score], dict[str, Any]]] = {
    "pylate": (by_pylate, BY_PYLATE),
    "colbert-ai": (by_colbert_ai, STANFORD),
    "sentence-transformers": (by_sentence_transformers, {**NATIVE, **PYLATE}),
}


def main() -> None:
    library = sys.argv[1]
    load, checkpoints = LIBRARIES[library]
    file = Path(__file__).with_name("colbert.json")
    known = json.loads(file.read_text()) if file.exists() else {}
    known[library] = {}
    for name, save in checkpoints.items():
        with TemporaryDirectory() as folder:
            scores = load(save(Path(folder)))(made.QUERIES, made.TEXTS)
        known[library][name] = [[round(score, 5) for score in row] for row in scores]
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
