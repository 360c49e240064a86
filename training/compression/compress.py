"""Makes smaller variants of a registered version and measures them beside it. Promotes nothing."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from conf.errors import ConfigError, MissingPartition
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
from training.registry.champion import standing_before
from training.registry.registry import Registry
from training.registry.serving import load_version
from training.registry.versions import registered_versions
from training.scorers import ScorerNet
from training.scorers.neighbours import Neighbours
from training.scorers.text import TextScorer
from training.scorers.trained import TrainedScorer
from training.scoring.metrics import auc, log_losses

VariantName = Literal["pruned", "int8", "distilled"]
VARIANTS: tuple[VariantName, ...] = ("pruned", "int8", "distilled")
Score = Callable[[Rows], Float64]


@dataclass(frozen=True)
class Tried:
    """One variant of a version."""

    variant: Measured
    verdict: Verdict
    run_id: str


@dataclass(frozen=True)
class Compressed:
    """What `compress` found."""

    ds: str
    version: int
    scorer: str
    original: Measured
    tried: list[Tried]
    left_out: dict[str, str]
    """Why a variant was not made."""
    folder: Path
    """Where the variants' files are."""


def compress(
    lake: Lake, settings: Settings, ds: str, version: int | None, wanted: Sequence[VariantName]
) -> Compressed:
    """Make the `wanted` variants of a version and judge them on the rows of `ds`.

    Args:
        lake: holds the examples of `ds`, which the version has not seen.
        settings: section `compression` says how, section `gate` by which margin.
        ds: the day.
        version: a registered one; None = the champion with which the day began.
        wanted: which variants.

    Raises:
        ConfigError: labels of this kind cannot be compared by row, or a package is missing.
        MissingPartition: there is no champion, no example, or the version has seen the day.
    """
    if lake.dataset.labels.kind in {"sampled", "rating"}:
        raise ConfigError(
            f"dayfold compress compares clicks row by row; labels of {lake.dataset.name} are "
            f"{lake.dataset.labels.kind}, expected impressions or threshold."
        )
    number = _version_of(lake, settings, ds, version)
    original = load_version(lake, settings, number).ranker
    examples = lake.read(EXAMPLES, [ds]).sort_by("example_id")
    if not examples.num_rows:
        raise MissingPartition(
            f"There are no examples of {ds} in {EXAMPLES.key}. Next: dayfold status, then "
            "`dayfold compress --ds` with a day that has some."
        )
    folder = settings.path(settings.home) / "variants" / lake.dataset.name / f"v{number}"
    folder.mkdir(parents=True, exist_ok=True)
    bench = _Bench(lake, settings, ds, examples)
    said = bench.scores(original.logits, original.reads_text)
    measured = bench.measured(original.name, original.logits, original.reads_text, *_file(original))
    tried: list[Tried] = []
    left_out: dict[str, str] = {}
    for name in wanted:
        reason = _refusal(name, original)
        if reason:
            left_out[name] = reason
            continue
        score, path, reads_text = _made(name, original, bench, folder)
        variant = bench.measured(name, score, reads_text, *_sizes(path), said)
        loss = compare(
            f"version {number}",
            user=examples.column("user_index").to_numpy(),
            loss=log_losses(bench.scores(score, reads_text), bench.label),
            reference_loss=log_losses(said, bench.label),
            gate=settings.gate,
            seed=settings.training.seed,
        )
        verdict = judged(measured, variant, loss, settings.compression)
        run_id = _log(lake, settings, ds, number, original.name, measured, variant, verdict)
        tried.append(Tried(variant, verdict, run_id))
    return Compressed(ds, number, original.name, measured, tried, left_out, folder)


def _version_of(lake: Lake, settings: Settings, ds: str, version: int | None) -> int:
    if version is None:
        standing = standing_before(lake, ds)
        if standing is None:
            raise MissingPartition(
                f"There is no champion with which {ds} began. Next: dayfold status, then "
                "`dayfold compress --ds` with a later day, or --model VERSION."
            )
        return standing.version
    known = {v.version: v for v in registered_versions(Registry(settings, lake.id), lake.id)}
    if version not in known:
        raise MissingPartition(
            f"--model {version} is not registered; registered are {sorted(known)}. Next: dayfold "
            "status names each day's version."
        )
    last = known[version].last_day
    if last is not None and last >= ds:
        raise MissingPartition(
            f"Version {version} was trained on days up to {last}, and {ds} is not after it: what "
            "it has seen says nothing. Next: `dayfold compress --ds` with a later day."
        )
    return version


def _refusal(name: str, original: TrainedScorer) -> str:
    """Why there is no such variant; empty where there is."""
    net = original.net
    if isinstance(net, Neighbours) and name != "distilled":
        return "its memory is no weight: distil it"
    if name == "int8" and isinstance(net, TextScorer):
        return "its texts are encoded once and kept, so that a request runs no language model"
    if name == "distilled" and original.name == "mlp":
        return "it is an mlp already"
    return ""


class _Bench:
    """The rows on which a version and its variants are measured."""

    def __init__(self, lake: Lake, settings: Settings, ds: str, examples: pa.Table) -> None:
        self.lake, self.settings, self.ds = lake, settings, ds
        self.label = examples.column("label").to_numpy()
        self._examples = examples
        self._rows: dict[bool, Rows] = {}

    def rows(self, with_text: bool) -> Rows:
        """All rows, with texts or without."""
        if with_text not in self._rows:
            reader = FeatureReader(self.lake, self.ds, self.ds, with_text=with_text)
            self._rows[with_text] = reader.rows(self._examples)
        return self._rows[with_text]

    def scores(self, score: Score, with_text: bool) -> Float64:
        """(n,) logits of all rows."""
        return score(self.rows(with_text))

    def measured(
        self,
        name: str,
        score: Score,
        with_text: bool,
        size: int,
        deflated: int,
        version: Float64 | None = None,
    ) -> Measured:
        """`score` on these rows; `version`: (n,) what it is compared with."""
        rows, chosen = self.rows(with_text), self.settings.compression
        logits = score(rows)
        request = rows.take(np.arange(chosen.candidates) % len(rows))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            fast = latencies(score, request, chosen.requests)
        finally:
            torch.set_num_threads(threads)
        ranks, apart = (1.0, 0.0) if version is None else agreement(version, logits)
        loss = float(log_losses(logits, self.label).mean())
        return Measured(name, auc(logits, self.label), loss, size, deflated, *fast, ranks, apart)


def _made(
    name: VariantName, original: TrainedScorer, bench: _Bench, folder: Path
) -> tuple[Score, Path, bool]:
    """What scores rows as the variant, its file, and whether it reads texts."""
    if name == "int8":
        require_onnx()
        path = folder / "int8.onnx"
        with tempfile.TemporaryDirectory() as scratch:
            whole = Path(scratch) / "whole.onnx"
            save_onnx(original.net, bench.rows(False).take(slice(0, 64)), whole)
            save_int8(whole, path)
        return OnnxScorer(path, original.schema).logits, path, False
    if name == "pruned":
        net = pruned_net(original.net, bench.settings.compression.pruned_share)
        scorer = TrainedScorer(original.name, net)
    else:
        chosen = bench.settings
        net = student_of(original, bench.lake, bench.ds, chosen.training, chosen.compression)
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


def _file(original: TrainedScorer) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "weights.safetensors"
        _save(original.net, path)
        return _sizes(path)


def _sizes(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    return len(content), deflated(content)


def _log(
    lake: Lake,
    settings: Settings,
    ds: str,
    version: int,
    scorer: str,
    original: Measured,
    variant: Measured,
    verdict: Verdict,
) -> str:
    """The run of the variant, nested in the day's, with the table of both as an artifact."""
    registry = Registry(settings, lake.id)
    run_id = registry.scorer_run(ds, f"{scorer}.{variant.name}")
    table = {"version": asdict(original), "variant": asdict(variant), "verdict": asdict(verdict)}
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "compression.json").write_text(json.dumps(table, indent=1) + "\n")
        numbers = {k: v for k, v in asdict(variant).items() if k not in {"name", "p50", "p99"}}
        registry.log(
            run_id,
            params={"version": version, "variant": variant.name},
            metrics={f"variant_{k}": float(v) for k, v in numbers.items()}
            | {f"version_{k}": float(v) for k, v in asdict(original).items() if k in numbers}
            | {"passed": float(verdict.passed)},
            seconds={"variant_p50_ms": variant.p50, "variant_p99_ms": variant.p99}
            | {"version_p50_ms": original.p50, "version_p99_ms": original.p99},
            tags={"dayfold.variant_of": version, "verdict": "; ".join(verdict.reasons) or "passed"},
            artifacts=Path(scratch),
        )
    return run_id
