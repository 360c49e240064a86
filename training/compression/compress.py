"""Makes smaller variants of a registered version, logs them beside it. Promotes nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from conf.errors import ConfigError, MissingPartition
from conf.settings import Settings
from feature_store.champion import standing_before
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from training.compression.variants import Variant, VariantName, Variants, variants_of
from training.registry.registry import Registry
from training.registry.serving import load_version
from training.registry.versions import registered_versions


@dataclass(frozen=True)
class Compressed:
    """What `compress` found."""

    ds: str
    version: int
    scorer: str
    found: Variants
    run_ids: dict[str, str]
    """The run of each variant that was made."""
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
    if not lake.read(EXAMPLES, [ds]).num_rows:
        raise MissingPartition(
            f"There are no examples of {ds} in {EXAMPLES.key}. Next: dayfold status, then "
            "`dayfold compress --ds` with a day that has some."
        )
    folder = settings.path(settings.home) / "variants" / lake.dataset.name / f"v{number}"
    found = variants_of(original, lake, settings, [ds], wanted, folder, f"version {number}")
    run_ids = {
        variant.measured.name: _log(lake, settings, ds, number, original.name, found, variant)
        for variant in found.made
    }
    return Compressed(ds, number, original.name, found, run_ids, folder)


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


def _log(
    lake: Lake,
    settings: Settings,
    ds: str,
    version: int,
    scorer: str,
    found: Variants,
    variant: Variant,
) -> str:
    """The run of the variant, nested in the day's, with the table of both as an artifact."""
    original, measured, verdict = found.original, variant.measured, variant.verdict
    registry = Registry(settings, lake.id)
    run_id = registry.scorer_run(ds, f"{scorer}.{measured.name}.v{version}")
    table = {"version": asdict(original), "variant": asdict(measured), "verdict": asdict(verdict)}
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "compression.json").write_text(json.dumps(table, indent=1) + "\n")
        numbers = {k: v for k, v in asdict(measured).items() if k not in {"name", "p50", "p99"}}
        registry.log(
            run_id,
            params={"version": version, "variant": measured.name},
            metrics={f"variant_{k}": float(v) for k, v in numbers.items()}
            | {f"version_{k}": float(v) for k, v in asdict(original).items() if k in numbers}
            | {"passed": float(verdict.passed)}
            # what the verdict was given on: measured again, they are taken the place of together
            | {"variant_p50_ms": measured.p50, "variant_p99_ms": measured.p99}
            | {"version_p50_ms": original.p50, "version_p99_ms": original.p99},
            seconds={"variant_cpu_seconds": variant.cpu_seconds},
            tags={"dayfold.variant_of": version, "verdict": "; ".join(verdict.reasons) or "passed"},
            artifacts=Path(scratch),
        )
    return run_id
