"""The stream of batches: order, sharding, negatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from conf.training import TrainingSettings
from feature_store.days import ordinal, shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.log_fixture import FIRST_DAY
from training.features.reader import FeatureReader
from training.fitting.examples import Examples, load_examples, plan_of, sources_of
from training.fitting.loader import BatchStream, LabelledSource, SampledSource
from training.fitting.negatives import POPULAR_SHARE, Proposal, item_key, split_key
from training.scorers.batch import Batch, batch_of_rows, mask_ids
from training.scorers.schema import Schema, schema_on

LakeOf = Callable[[str], Lake]
DS = shift(FIRST_DAY, 8)


def loaded(lake: Lake, settings: TrainingSettings) -> tuple[Examples, Schema]:
    plan = plan_of(lake, DS, None)
    return load_examples(lake, plan, settings), schema_on(lake, plan.last_day)


def stream_of(lake: Lake, **changes: object) -> BatchStream:
    settings = TrainingSettings(batch_size=100)
    examples, schema = loaded(lake, settings)
    source, _ = sources_of(examples, schema, settings, whole_lists=False)
    days = (ordinal(FIRST_DAY), ordinal(DS) - 1)
    return BatchStream(
        source, **{"batch_size": 100, "passes": 2, "seed": 7, "days": days, **changes}
    )  # type: ignore[arg-type]


def tensors(batch: Batch) -> list[torch.Tensor]:
    user, item = batch.user, batch.item
    sides = [[s.ids, s.categorical, *s.multi, s.numeric, s.history] for s in (user, item)]
    return [*sides[0], *sides[1], *batch[2:]]


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_a_batch_is_a_function_of_seed_days_and_step_alone(lake_of: LakeOf, kind: str) -> None:
    walked = list(stream_of(lake_of(kind), unknown_masking=0.1))
    fresh = stream_of(lake_of(kind), unknown_masking=0.1)
    for step in reversed(range(len(walked))):
        for one, other in zip(tensors(walked[step]), tensors(fresh.batch(step)), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_resumed_stream_goes_on_where_it_stopped(lake_of: LakeOf) -> None:
    whole = list(stream_of(lake_of("impressions")))
    rest = list(stream_of(lake_of("impressions"), first_step=5))
    assert len(rest) == len(whole) - 5
    for one, other in zip(whole[5:], rest, strict=True):
        torch.testing.assert_close(one.user.ids, other.user.ids, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_a_pass_holds_every_row_once_and_passes_differ(lake_of: LakeOf, kind: str) -> None:
    stream = stream_of(lake_of(kind))
    passes = [
        np.concatenate(
            [stream.rows_of(n * stream.steps_per_pass + s) for s in range(stream.steps_per_pass)]
        )
        for n in range(2)
    ]
    for rows in passes:
        np.testing.assert_array_equal(np.sort(rows), np.arange(len(stream.source)))
    assert (passes[0] != passes[1]).any()
    sizes = [len(stream.rows_of(s)) for s in range(stream.steps_per_pass)]
    assert max(sizes) - min(sizes) <= 1


def test_another_seed_or_other_days_give_another_order(lake_of: LakeOf) -> None:
    stream = stream_of(lake_of("impressions"))
    for changed in (
        stream_of(lake_of("impressions"), seed=8),
        stream_of(lake_of("impressions"), days=(ordinal(FIRST_DAY), ordinal(DS))),
    ):
        assert (stream.rows_of(0) != changed.rows_of(0)).any()


def test_the_processes_of_a_group_share_each_batch(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    whole = stream_of(lake).batch(3).user.ids
    parts = [stream_of(lake, rank=rank, world=3).batch(3).user.ids for rank in range(3)]
    together = torch.empty_like(whole)
    for rank, part in enumerate(parts):
        together[rank::3] = part
    torch.testing.assert_close(together, whole)


def test_held_out_rows_are_the_last_by_time(lake_of: LakeOf) -> None:
    settings = TrainingSettings(validation_share=0.2)
    examples, schema = loaded(lake_of("impressions"), settings)
    train, held_out = sources_of(examples, schema, settings, whole_lists=False)
    assert isinstance(train, LabelledSource)
    assert isinstance(held_out, LabelledSource)
    assert len(held_out) == int(len(examples) * 0.2)
    lake = lake_of("impressions")
    plan = plan_of(lake, DS, None)
    assert plan.last_day == shift(DS, -1)
    assert examples.day.max() <= ordinal(plan.last_day)
    assert len(train) + len(held_out) == len(examples)
    assert examples.day[: len(train)].max() <= examples.day[len(train) :].min()


def test_ids_born_after_the_vocabulary_day_read_as_unknown(lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    early = schema_on(lake, FIRST_DAY)
    settings = TrainingSettings()
    examples, _ = loaded(lake, settings)
    source = sources_of(examples, early, settings, whole_lists=False)[0]
    assert isinstance(source, LabelledSource)
    rows = np.arange(len(source))
    batch = source.batch(rows, np.random.default_rng(0))
    index = examples.users.index[examples.user[rows]]
    known = index < early.user.index.size
    assert 0 < known.sum() < len(known)
    np.testing.assert_array_equal(batch.user.ids.numpy(), np.where(known, index, 0))
    assert batch.user.history.max() < early.item.index.size


def test_a_batch_holds_what_a_look_up_row_by_row_gives(lake_of: LakeOf) -> None:
    lake, settings = lake_of("impressions"), TrainingSettings()
    examples, schema = loaded(lake, settings)
    source, _ = sources_of(examples, schema, settings, whole_lists=False)
    table = lake.read(EXAMPLES, plan_of(lake, DS, None).new_days)
    table = table.sort_by([("event_timestamp", "ascending"), ("example_id", "ascending")])
    chosen = np.random.default_rng(0).permutation(len(source))[:200]
    rows = examples.reader.rows(table.take(chosen))
    expected = batch_of_rows(rows, schema, examples.label[chosen], examples.weight[chosen])
    found = source.batch(chosen, np.random.default_rng(0))
    assert found.replayed is not None
    assert not found.replayed.any()  # there is no parent
    for one, other in zip(tensors(found._replace(replayed=None)), tensors(expected), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert len(examples.users) < len(examples)


def test_masking_hides_the_stated_share_and_nothing_else(lake_of: LakeOf) -> None:
    batch, same = (stream_of(lake_of("impressions"), batch_size=2000).batch(0) for _ in range(2))
    masked = mask_ids(same, 0.25, np.random.default_rng(0))
    known = batch.user.ids > 0
    hidden = known & (masked.user.ids == 0)
    assert hidden.float().sum() / known.sum() == pytest.approx(0.25, abs=0.05)
    assert (masked.user.ids == batch.user.ids)[~hidden].all()
    torch.testing.assert_close(masked.context[:, :2], batch.context[:, :2])
    assert ((masked.item.multi[0] == -1) == (batch.item.multi[0] == -1)).all()


def test_negatives_come_from_the_items_known_before_the_day(lake_of: LakeOf) -> None:
    stream = stream_of(lake_of("sampled"))
    assert isinstance(stream.source, SampledSource)
    reader, positives = stream.source.reader, stream.source.positives
    for step in range(stream.steps_per_pass):
        rows, batch = stream.rows_of(step), stream.batch(step)
        listed = batch.item.ids[batch.pair].numpy()
        np.testing.assert_array_equal(listed[:, 0], positives.item[rows])
        for day in np.unique(positives.day[rows]):
            known = reader.catalogue(reader.start_of(int(day)), int(day))
            assert set(listed[positives.day[rows] == day].ravel()) <= set(known.tolist())


def test_what_the_user_took_and_the_positive_itself_are_left_out(lake_of: LakeOf) -> None:
    batch = stream_of(lake_of("sampled"), batch_size=400).batch(0)
    listed = batch.item.ids[batch.pair].numpy()
    history = batch.user.history.numpy()
    left_out = np.isneginf(batch.correction.numpy())
    for row in range(len(listed)):
        taken = {*history[row].tolist(), listed[row, 0]} - {0}
        expected = [item in taken for item in listed[row, 1:]]
        assert left_out[row, 1:].tolist() == expected
    assert not left_out[:, 0].any()


def test_corrections_make_the_drawn_sum_an_unbiased_estimate_of_the_whole(lake_of: LakeOf) -> None:
    lake = lake_of("sampled")
    reader = FeatureReader(lake, DS, DS)
    day = np.array([ordinal(DS)])
    proposal = Proposal(reader, day)
    catalogue = reader.catalogue(reader.start_of(int(day[0])), int(day[0]))
    worth = np.random.default_rng(0).random(int(catalogue.max()) + 1)
    item, log_expected = proposal.draw(day, 200_000, np.random.default_rng(1))
    estimate = (worth[item] / np.exp(log_expected)).sum()
    assert estimate == pytest.approx(worth[catalogue].sum(), rel=0.02)
    sums = reader.popularity(catalogue, int(day[0]))
    share = (sums / sums.sum(axis=0)).mean(axis=1)
    drawn = np.bincount(item[0], minlength=len(worth))[catalogue] / 200_000
    expected = POPULAR_SHARE * share + (1 - POPULAR_SHARE) / len(catalogue)
    np.testing.assert_allclose(drawn, expected, atol=0.004)


def test_a_day_and_an_item_make_one_number_whatever_their_types() -> None:
    day, item = np.array([20_000, 20_001], np.int32), np.array([2**31 - 1, 0], np.int32)
    keys = item_key(day, item)
    assert keys.tolist() == [20_000 * 2**32 + 2**31 - 1, 20_001 * 2**32]
    for part, expected in zip(split_key(keys), (day, item), strict=True):
        np.testing.assert_array_equal(part, expected)
