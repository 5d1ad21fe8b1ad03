"""Writes layerwise.json: what FlagEmbedding's own class scores with the tiny checkpoint of `checkpoints.layerwise`.

Its pins conflict with ours, so it runs in an environment of its own: `pip install FlagEmbedding==1.4.2
transformers==4.46.3`, then `python tests/references/layerwise.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from FlagEmbedding.inference.reranker.decoder_only.layerwise import LayerWiseLLMReranker
from safetensors import safe_open

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from checkpoints.layerwise import CONFIG, save_layerwise  # noqa: E402

LAYERS = [*range(CONFIG["start_layer"], CONFIG["num_hidden_layers"] + 1)]
QUERIES = ("What raises the tides?", "Fährt die Straßenbahn?", "How far, and why? " * 40)
PASSAGES = (
    "The moon raises the tides of the oceans.",
    "A sourdough bread needs flour, water, salt and a starter.",
    "Honey bees dance to tell their sisters how far one has to fly.",
    "Die Straßenbahn fährt über die Brücke.",
    "東京は日本の首都です。 🎹",
    "",
    "no end to it, and none to what follows " * 40,
)


def names(folder: Path) -> set[str]:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return set(file.keys())


def main() -> None:
    with TemporaryDirectory() as ours, TemporaryDirectory() as theirs:
        folder = save_layerwise(Path(ours))
        reranker = LayerWiseLLMReranker(str(folder), devices="cpu", max_length=512)
        reranker.model.save_pretrained(theirs)
        assert names(Path(ours)) == names(Path(theirs)), "the authors' class saves other names"
        found = []
        for query in QUERIES:
            scores = reranker.compute_score([(query, text) for text in PASSAGES], cutoff_layers=LAYERS)
            found.append({"query": query, "scores": dict(zip(map(str, LAYERS), scores, strict=True))})
    told = {"made_with": "FlagEmbedding 1.4.2, transformers 4.46.3", "passages": PASSAGES, "queries": found}
    (HERE / "layerwise.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
