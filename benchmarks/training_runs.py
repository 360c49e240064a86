"""One pass of training over a made-up log, by the product and by a bare loop; its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.training_rows import Log, source_of
from conf.training import TrainingSettings
from training.fitting.fit import fit
from training.fitting.hardware import trainer_options
from training.fitting.loader import BatchStream
from training.fitting.losses import click_loss
from training.fitting.module import ScorerModule
from training.fitting.optimizer import make_optimizer
from training.fitting.report import unwatched
from training.fitting.reproducible import reproducible
from training.scorers import Architecture, ScorerNet, build
from training.scorers.batch import Batch

BATCH = 4096
WARM_UP = 3
SETTINGS = TrainingSettings()
_PARTS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "embeddings": (
        "aten::embedding_dense_backward",
        "aten::_embedding_bag",
        "aten::_embedding_bag_dense_backward",
        "aten::index_select",
        "aten::sort",
        "aten::index",
        "aten::nonzero",
        "aten::_index_put_impl_",
    ),
    "dropout": ("aten::random_",),
    "normalisation": ("aten::native_batch_norm", "aten::native_batch_norm_backward"),
}


@dataclass
class Rate:
    """Samples a second of one pass, after its first steps."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Timed(BatchStream):
    """A stream that notes when each batch is asked for."""

    asked: list[tuple[float, float]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Batch]:
        """The batches."""
        for batch in super().__iter__():
            self.asked.append((time.process_time(), time.perf_counter()))
            yield batch
        self.asked.append((time.process_time(), time.perf_counter()))

    def rate(self) -> Rate:
        """From the fourth batch to the end."""
        steps = len(self.asked) - 1 - WARM_UP
        (cpu, wall), (cpu_end, wall_end) = self.asked[WARM_UP], self.asked[-1]
        samples = steps * len(self.source) / self.steps_per_pass
        return Rate(samples / (cpu_end - cpu), samples / (wall_end - wall))


def stream_of(log: Log, *, shuffled: bool = True) -> Timed:
    """One pass of the product's stream over `log`."""
    masking = SETTINGS.unknown_masking
    return Timed(source_of(log), BATCH, 1, 7, (0, 6), masking, shuffled=shuffled)


def net_of(log: Log) -> ScorerNet:
    """A fresh `mlp` of the default widths."""
    shape = Architecture(SETTINGS.embedding_dim, SETTINGS.hidden, SETTINGS.dropout)
    return build("mlp", log.schema, shape)


def fitted_pass(log: Log) -> Rate:
    """A pass of the product's own fit."""
    with reproducible(7):
        stream = stream_of(log)
        nothing = BatchStream(source_of(log).part(slice(0, 0)), BATCH, 1, 7, (0, 6))
        module = ScorerModule(
            net_of(log),
            loss=click_loss,
            learning_rate=SETTINGS.learning_rate,
            weight_decay=SETTINGS.weight_decay,
            steps=len(stream),
            seed=7,
            sparse_rows=SETTINGS.sparse_rows,
        )
        options = trainer_options("32-true", 1) | {"accelerator": "cpu"}
        fit(module, stream, nothing, None, lambda _: None, 1e9, options, unwatched)
        return stream.rate()


def bare_pass(log: Log, sparse_rows: int | None = SETTINGS.sparse_rows) -> Rate:
    """A pass of a loop that holds nothing but loss, gradients and step."""
    with reproducible(7):
        stream = stream_of(log)
        _loop(net_of(log), stream, sparse_rows)
        return stream.rate()


def _loop(net: ScorerNet, batches: Iterable[Batch], sparse_rows: int | None) -> None:
    rate, decay = SETTINGS.learning_rate, SETTINGS.weight_decay
    optimizer = make_optimizer(net, rate, decay, None, sparse_rows)
    for batch in batches:
        optimizer.zero_grad()
        (click_loss(net(batch), batch) / batch.weight.sum()).backward()
        optimizer.step()


def products_alone(log: Log, steps: int) -> float:
    """Samples a CPU second of the layers' matrix products alone, forward and backward."""
    net = net_of(log)
    shapes = [
        module.weight.shape for module in net.modules() if isinstance(module, torch.nn.Linear)
    ]
    layers = [(torch.randn(BATCH, i), torch.randn(o, i), torch.randn(BATCH, o)) for o, i in shapes]

    def step() -> None:
        for inputs, weight, gradient in layers:
            torch.mm(inputs, weight.T)
            torch.mm(gradient, weight)
            torch.mm(gradient.T, inputs)

    return steps * BATCH / _cpu_seconds(step, steps)


def _cpu_seconds(step: Callable[[], None], steps: int) -> float:
    step()
    begun = time.process_time()
    for _ in range(steps):
        step()
    return time.process_time() - begun


def shares_of_time(log: Log) -> dict[str, float]:
    """Share of a bare loop's CPU time by part; the loader and Lightning are measured apart."""
    with reproducible(7):
        net, batches = net_of(log), list(stream_of(log))[:8]
        _loop(net, batches[:2], SETTINGS.sparse_rows)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            _loop(net, batches, SETTINGS.sparse_rows)
    events = {event.key: event for event in profiled.key_averages()}
    total = sum(event.self_cpu_time_total for event in events.values())
    shares = {
        part: sum(events[key].self_cpu_time_total for key in keys if key in events) / total
        for part, keys in _PARTS.items()
    }
    optimizer = next(e for key, e in events.items() if key.startswith("Optimizer.step"))
    shares["optimizer"] = optimizer.cpu_time_total / total
    begun = time.process_time()
    samples = sum(len(batch.label) for batch in stream_of(log))
    shares["loader_samples_per_s"] = samples / (time.process_time() - begun)
    return {name: round(share, 4) for name, share in shares.items()}
