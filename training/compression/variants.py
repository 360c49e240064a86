"""Smaller variants of a trained scorer, each measured and judged beside it on the same rows."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from conf.settings import Settings
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from training.compression.export import OnnxScorer, require_onnx, save_int8, save_onnx
from training.compression.gate import Measured, Verdict, agreement, judged, latencies
from training.compression.pruning import deflated, pruned
from training.compression.student import student_of
from training.features.reader import FeatureReader
from training.features.rows import Float64, Rows
from training.promotion.comparison import compare
from training.scorers import ScorerNet
from training.scorers.neighbours import Neighbours
from training.scorers.text import TextScorer
from training.scorers.trained import TrainedScorer
from training.scoring.metrics import auc, log_losses
from training.text.encoder import FrozenEncoder

VariantName = Literal["pruned", "int8", "distilled"]
VARIANTS: tuple[VariantName, ...] = ("pruned", "int8", "distilled")
Score = Callable[[Rows], Float64]


@dataclass(frozen=True)
class Variant:
    """One variant of a scorer."""

    measured: Measured
    verdict: Verdict
    score: Score
    """Rows -> (n,) logits."""
    reads_text: bool
    """Whether its rows must have texts."""
    cpu_seconds: float
    """Of making it."""


@dataclass(frozen=True)
class Variants:
    """A scorer and its variants."""

    original: Measured
    made: list[Variant]
    left_out: dict[str, str]
    """Why a variant was not made."""


def variants_of(
    original: TrainedScorer,
    lake: Lake,
    settings: Settings,
    days: Sequence[str],
    wanted: Sequence[VariantName],
    folder: Path,
    called: str,
) -> Variants:
    """Make the `wanted` variants of `original` and judge them on the examples of `days`.

    Args:
        original: has seen none of `days`.
        lake: holds the examples of `days`, at least one, and those of the days before, on which a
            student is trained.
        settings: section `compression` says how, section `gate` by which margin.
        days: ascending.
        wanted: which variants.
        folder: gets their files.
        called: the original's name in sentences.

    Raises:
        ConfigError: a package is missing, or there is no day to teach a student on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tested = _Tested(lake, settings, days)
    said = original.logits(tested.rows(original.reads_text))
    measured = tested.measured(
        original.name, original.logits, original.reads_text, *_size_of(original)
    )
    made: list[Variant] = []
    left_out: dict[str, str] = {}
    for name in wanted:
        reason = _refusal(name, original)
        if reason:
            left_out[name] = reason
            continue
        begun = time.process_time()
        score, path, reads_text = _made(name, original, tested, folder)
        cpu_seconds = time.process_time() - begun
        variant = tested.measured(name, score, reads_text, *_sizes(path), said)
        loss = compare(
            called,
            user=tested.user,
            loss=log_losses(score(tested.rows(reads_text)), tested.label),
            reference_loss=log_losses(said, tested.label),
            gate=settings.gate,
            seed=settings.training.seed,
        )
        verdict = judged(measured, variant, loss, settings.compression)
        made.append(Variant(variant, verdict, score, reads_text, cpu_seconds))
    return Variants(measured, made, left_out)


def _refusal(name: str, original: TrainedScorer) -> str:
    """Why there is no such variant; empty where there is."""
    net = original.net
    trains_text = isinstance(net, TextScorer) and not isinstance(net.encoder, FrozenEncoder)
    if isinstance(net, Neighbours) and name != "distilled":
        return "its memory is no weight: distil it"
    if name == "int8" and trains_text:
        return "its language model is trained with it, and only what is above one becomes 8 bits"
    if name == "distilled" and original.name == "mlp":
        return "it is an mlp already"
    return ""


class _Tested:
    """The rows on which a scorer and its variants are measured."""

    def __init__(self, lake: Lake, settings: Settings, days: Sequence[str]) -> None:
        self.lake, self.settings, self.days = lake, settings, days
        self._examples = lake.read(EXAMPLES, list(days)).sort_by(
            [("ds", "ascending"), ("example_id", "ascending")]
        )
        self.label = self._examples.column("label").to_numpy()
        self.user = self._examples.column("user_index").to_numpy()
        self._rows: dict[bool, Rows] = {}

    def rows(self, with_text: bool) -> Rows:
        """All rows, with texts or without."""
        if with_text not in self._rows:
            reader = FeatureReader(self.lake, self.days[0], self.days[-1], with_text=with_text)
            self._rows[with_text] = reader.rows(self._examples)
        return self._rows[with_text]

    def measured(
        self,
        name: str,
        score: Score,
        with_text: bool,
        size: int,
        deflated: int,
        original: Float64 | None = None,
    ) -> Measured:
        """`score` on these rows; `original`: (n,) what it is compared with."""
        rows, chosen = self.rows(with_text), self.settings.compression
        logits = score(rows)
        request = rows.take(np.arange(chosen.candidates) % len(rows))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            fast = latencies(score, request, chosen.requests)
        finally:
            torch.set_num_threads(threads)
        ranks, apart = (1.0, 0.0) if original is None else agreement(original, logits)
        loss = float(log_losses(logits, self.label).mean())
        return Measured(name, auc(logits, self.label), loss, size, deflated, *fast, ranks, apart)


def _made(
    name: VariantName, original: TrainedScorer, tested: _Tested, folder: Path
) -> tuple[Score, Path, bool]:
    """What scores rows as the variant, its file, and whether it reads texts."""
    settings = tested.settings
    if name == "int8":
        require_onnx()
        path = folder / "int8.onnx"
        like = tested.rows(original.reads_text).take(slice(0, 64))
        with tempfile.TemporaryDirectory() as scratch:
            whole = Path(scratch) / "whole.onnx"
            save_onnx(original.net, like, whole)
            save_int8(whole, path)
        return OnnxScorer(path, original.net).logits, path, original.reads_text
    if name == "pruned":
        net = pruned_net(original.net, settings.compression.pruned_share)
        scorer = TrainedScorer(original.name, net)
    else:
        net = student_of(
            original, tested.lake, tested.days[0], settings.training, settings.compression
        )
        scorer = TrainedScorer("mlp", net)
    path = folder / f"{name}.safetensors"
    _save(net, path)
    return scorer.logits, path, scorer.reads_text


def pruned_net(net: ScorerNet, share: float) -> ScorerNet:
    """A copy of `net` with `share` of the weights of each dense layer at zero.

    Layer by layer, because layers differ in scale; tables and what gives one number stay whole.
    """
    smaller = copy.deepcopy(net)
    weights: dict[str, Tensor] = {}
    for name, module in smaller.named_modules():
        if isinstance(module, nn.Linear) and module.out_features > 1:
            weights |= pruned({f"{name}.weight": module.weight}, share)
    smaller.load_state_dict(smaller.state_dict() | weights)
    return smaller.eval()


def _save(net: ScorerNet, path: Path) -> None:
    save_file({name: t.contiguous() for name, t in net.state_dict().items()}, path)


def _size_of(original: TrainedScorer) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "weights.safetensors"
        _save(original.net, path)
        return _sizes(path)


def _sizes(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    return len(content), deflated(content)
