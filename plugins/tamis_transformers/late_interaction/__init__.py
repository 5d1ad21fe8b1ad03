"""Late interaction: a passage's token vectors, kept or computed, against a query's."""

from tamis_transformers.late_interaction.kernel import max_sim, max_sims
from tamis_transformers.late_interaction.reranker import LateInteractionReranker, LateInteractionSettings

__all__ = ["LateInteractionReranker", "LateInteractionSettings", "max_sim", "max_sims"]
