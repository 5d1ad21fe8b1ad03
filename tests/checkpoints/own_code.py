"""A reranker that is no class of transformers: what a checkpoint with code of its own brings along."""

from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class OwnConfig(PreTrainedConfig):
    """Sizes of the model."""

    model_type = "tamis-own-code"

    def __init__(self, vocab_size: int = 300, hidden_size: int = 16, **rest: Any) -> None:
        super().__init__(**rest)
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        self.max_position_embeddings = 512


class OwnForSequenceClassification(PreTrainedModel):
    """One label from the mean of the tokens' vectors."""

    config_class = OwnConfig

    def __init__(self, config: OwnConfig) -> None:
        super().__init__(config)
        self.words = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> SequenceClassifierOutput:
        weights = attention_mask.unsqueeze(-1).to(self.words.weight.dtype)
        mean = (self.words(input_ids) * weights).sum(1) / weights.sum(1)
        return SequenceClassifierOutput(logits=self.classifier(torch.tanh(mean)))


OwnConfig.register_for_auto_class()
OwnForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
