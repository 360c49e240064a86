"""Text scorers: a language model reads items and profiles, a small net compares what it said.

The form is Sentence-BERT's (Reimers and Gurevych 2019): each text passes the encoder once and is a
vector from then on, so that the cost grows with the texts and not with the pairs. A user is the
mean of their last items' vectors, newer ones counting more, beside the mean of their profile's
words. No id is known: an item is scored by its words from its first day on.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conf.errors import TrainingError
from training.features.texts import HISTORY_TEXTS
from training.features.words import NO_TEXT, Words
from training.scorers.batch import Batch
from training.scorers.dropout import PairDropout
from training.scorers.inputs import (
    PopularityPrior,
    Recency,
    Tables,
    becomes_a_graph,
    straight_line,
)
from training.scorers.norm import Norm
from training.scorers.schema import Schema
from training.text.encoder import TextEncoder

_PAIR_FEATURES = 4
_SAME = 0.9999
"""Two unit vectors with a larger product are of the same text."""


class ReadTexts(NamedTuple):
    """What the language model said of a batch's texts. T texts of a user."""

    vectors: Tensor
    """(K, D) of the batch's distinct texts."""
    item: Tensor
    """(M,) positions in `vectors` of each item's text."""
    user: Tensor
    """(B, T) positions in `vectors` of each user's texts: last items', then the profile's."""
    user_has: Tensor
    """(B, T) int64: 1 where the user has such a text."""


class TextScorer(nn.Module):
    """Vectors of the texts, their products, numeric features and context -> MLP -> logit."""

    can_recall = False

    def __init__(
        self,
        schema: Schema,
        dim: int,
        hidden: tuple[int, ...],
        dropout: float,
        encoder: TextEncoder,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.encoder = encoder
        self.recency = Recency(HISTORY_TEXTS)
        self.context = Tables(schema.context, dim)
        self.user_norm = Norm(len(schema.user.numeric), affine=False)
        self.item_norm = Norm(len(schema.item.numeric), affine=False)
        width, first = encoder.architecture.width, hidden[0]
        user, item = 2 * width + len(schema.user.numeric), width + len(schema.item.numeric)
        self.user_part = nn.Linear(user, first)
        self.item_part = nn.Linear(item, first, bias=False)
        self.context_part = nn.Linear(dim * len(schema.context), first, bias=False)
        self.pair_part = nn.Linear(_PAIR_FEATURES, first, bias=False)
        self.product_part = nn.Linear(2 * dim, first, bias=False)
        self.user_product = nn.Linear(user, 2 * dim)
        self.item_product = nn.Linear(item, 2 * dim)
        self.norms = nn.ModuleList(Norm(size) for size in hidden)
        self.dropout = PairDropout(dropout)
        self.layers = nn.ModuleList(nn.Linear(*widths) for widths in pairwise(hidden))
        self.head = straight_line(hidden[-1])
        self.user_bias = straight_line(user)
        self.item_bias = straight_line(item)
        self.prior = PopularityPrior(schema)

    def forward(self, batch: Batch) -> Tensor:
        """(B, P) logits."""
        return self.compare(batch, self.read(batch))

    def compare(self, batch: Batch, texts: ReadTexts) -> Tensor:
        """(B, P) logits of a batch whose texts were read."""
        vectors, there = texts.vectors, texts.user_has
        recent, profile = there[:, :HISTORY_TEXTS], there[:, HISTORY_TEXTS:]
        shares = self.recency.shares(recent)
        even = profile / profile.sum(dim=1, keepdim=True).clamp(min=1)
        last, words = texts.user[:, :HISTORY_TEXTS], texts.user[:, HISTORY_TEXTS:]
        users = torch.cat(
            [
                _mean(vectors, last, shares),
                _mean(vectors, words, even),
                self.user_norm(batch.user.numeric),
            ],
            dim=1,
        )
        items = torch.cat([vectors[texts.item], self.item_norm(batch.item.numeric)], dim=1)
        of_pairs = texts.item[batch.pair][:, :, None]
        likeness = (vectors @ vectors.T)[texts.user[:, None], of_pairs]
        pairs = _pair_features(likeness, shares, even)
        return self._logits(batch, users, items, pairs)

    def _logits(self, batch: Batch, users: Tensor, items: Tensor, pairs: Tensor) -> Tensor:
        """(B, P) of users (B, E), items (M, E) and pairs (B, P, 4)."""
        context = torch.cat([t(batch.context[:, x]) for x, t in enumerate(self.context)], dim=1)
        once = self.user_part(users) + self.context_part(context)
        product = self.user_product(users)[:, None] * self.item_product(items)[batch.pair]
        hidden = (
            once[:, None]
            + self.item_part(items)[batch.pair]
            + self.product_part(product)
            + self.pair_part(pairs)
        )  # (B, P, H)
        for norm, layer in zip(self.norms, [*self.layers, self.head], strict=True):
            hidden = norm(hidden.flatten(0, 1)).view(hidden.shape)
            hidden = layer(self.dropout(torch.relu(hidden)))
        item_bias = self.item_bias(items) + self.prior(batch.item)  # (M, 1)
        logits: Tensor = hidden[:, :, 0] + self.user_bias(users) + item_bias[:, 0][batch.pair]
        return logits

    def read(self, batch: Batch) -> ReadTexts:
        """What the encoder says of the batch's texts.

        Raises:
            TrainingError: the batch has no texts.
        """
        item, user, words = batch.item.text, batch.user.text, batch.item.words
        if item is None or user is None or words is None or batch.user.words is None:
            raise TrainingError(
                "A text scorer was asked about rows without texts, expected Side.text and "
                "Side.words. Next: read them with FeatureReader(..., with_text=True), or ask the "
                "registered version, which carries its texts (the online store does not)."
            )
        if batch.user.words is not words:
            words = Words([*words.texts(), *batch.user.words.texts()])
        numbers, at = torch.unique(torch.cat([item.ravel(), user.ravel()]), return_inverse=True)
        vectors = self.encoder(numbers, words)
        of_items, of_users = at[: item.numel()], at[item.numel() :]
        has = (user != NO_TEXT).long()
        return ReadTexts(vectors, of_items.view(item.shape)[:, 0], of_users.view(user.shape), has)

    def grow(self, schema: Schema) -> None:
        """Take the schema's new context values in; texts need no rows. Old logits stay."""
        self.context.grow(schema.context)
        self.schema = schema

    def learning_rate_shares(self) -> dict[str, float]:
        """By parameter: the share of the learning rate of those that are trained with less."""
        share = self.encoder.learning_rate_share
        return {f"encoder.{name}": share for name, _ in self.encoder.named_parameters()}


def _mean(vectors: Tensor, at: Tensor, weights: Tensor) -> Tensor:
    """(B, D) sums of the rows `at` (B, T) of `vectors`, weighted by `weights` (B, T)."""
    if becomes_a_graph():  # ONNX has no such operator, and would loop over the rows
        return (vectors[at] * weights[:, :, None]).sum(dim=1)
    return F.embedding_bag(at, vectors, mode="sum", per_sample_weights=weights.to(vectors.dtype))


def _pair_features(likeness: Tensor, shares: Tensor, even: Tensor) -> Tensor:
    """(B, P, 4): how like an item is to the user's texts.

    To the last items, to the likest of them, to the profile's words; and whether its very text is
    among the last items'.

    Args:
        likeness: (B, P, T) products of the item's unit vector and the user's texts'.
        shares: (B, HISTORY_TEXTS) weights of the last items; 0 = none.
        even: (B, PROFILE_TEXTS) weights of the profile's words; 0 = none.
    """
    recent, profile = likeness[:, :, : shares.shape[1]], likeness[:, :, shares.shape[1] :]
    there = (shares > 0)[:, None]
    likest = recent.masked_fill(~there, -1.0).amax(dim=2)
    likest = torch.where(there.any(dim=2), likest, torch.zeros_like(likest))
    features = [
        (recent * shares[:, None]).sum(dim=2),
        likest,
        (profile * even[:, None]).sum(dim=2),
        (likest > _SAME).to(likest.dtype),
    ]
    return torch.stack(features, dim=2)
