"""bert and gpt2 as scorers: learning, growth, checkpoints, resuming, what is left out of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.errors import ConfigError, RegistryError, TrainingError
from conf.training import TextSettings, TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from feature_store.tables import EXAMPLES
from tests.training.log_fixture import FIRST_DAY
from tests.training.text.tiny_models import CHARACTERS, tiny_bert
from training.features.reader import FeatureReader
from training.features.rows import Rows
from training.features.words import Words
from training.fitting.candidate import Candidate, train_candidate
from training.fitting.checkpoint import load_checkpoint, load_scorer, save_scorer
from training.fitting.losses import click_loss
from training.fitting.optimizer import make_optimizer
from training.fitting.progress import Progress
from training.scorers import Architecture, build
from training.scorers.batch import batch_of_rows
from training.scorers.schema import schema_on
from training.scorers.trained import TrainedScorer
from training.text.architecture import text_architecture
from training.text.encoder import encoder_of
from training.text.kept import KEPT

LakeOf = Callable[[str], Lake]
EARLY, DS, LATE = shift(FIRST_DAY, 3), shift(FIRST_DAY, 5), shift(FIRST_DAY, 9)
FORMS = {
    "frozen": ("bert", {}),
    "layer": ("bert", {"trained_layers": 1}),
    "lora": ("bert", {"trained_layers": 1, "lora_rank": 2}),
    "gpt2": ("gpt2", {}),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(autouse=True)
def _nothing_kept_and_one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors: more threads only wait for each other
    KEPT.keep_in(None, 64)
    KEPT.forget()
    yield
    KEPT.keep_in(None, 64)
    KEPT.forget()
    torch.set_num_threads(threads)


def text_settings(tiny: str, **more: object) -> TextSettings:
    made = {"made_layers": 1, "made_width": 16, "made_vocabulary": 300, "max_tokens": 12}
    return TextSettings.model_validate({"bert_model": tiny, **made, **more})


def quick(tiny: str, **more: object) -> TrainingSettings:
    return TrainingSettings(
        batch_size=256,
        embedding_dim=4,
        hidden=(16, 8),
        max_epochs=1,
        bootstrap_epochs=2,
        negatives=8,
        save_every_seconds=0.0,
        text=text_settings(tiny, **more),
    )


def shape(form: str, tiny: str) -> tuple[str, Architecture]:
    scorer, more = FORMS[form]
    text = text_architecture(scorer, text_settings(tiny, **more))
    return scorer, Architecture(embedding_dim=8, hidden=(16, 8), dropout=0.0, text=text)


def rows_on(lake: Lake, ds: str) -> tuple[Rows, np.ndarray, Words]:
    examples = lake.read(EXAMPLES, [ds])
    reader = FeatureReader(lake, ds, ds, with_text=True)
    assert reader.texts is not None
    return reader.rows(examples), examples.column("label").to_numpy(), reader.texts.words


def trained(lake: Lake, tiny: str, form: str, ds: str = DS, **more: Path) -> Candidate:
    scorer, settings = FORMS[form]
    return train_candidate(lake, quick(tiny, **settings), scorer, ds, **more)


@pytest.mark.parametrize("form", FORMS)
def test_a_text_scorer_overfits_32_rows_and_gives_a_logit_per_pair(
    lake_of: LakeOf, tiny: str, form: str
) -> None:
    lake = lake_of("impressions")
    rows, label, words = rows_on(lake, EARLY)
    rows, label = rows.take(slice(0, 32)), label[:32]
    torch.manual_seed(0)
    scorer, architecture = shape(form, tiny)
    net = build(scorer, schema_on(lake, EARLY), architecture)
    net.encoder.begin(words.texts())
    batch = batch_of_rows(rows, net.schema, label)
    optimizer = make_optimizer(net, 0.04, 0.0, None)
    for _ in range(150):
        optimizer.zero_grad()
        logits = net(batch)
        loss = click_loss(logits, batch) / 32
        loss.backward()
        optimizer.step()
    assert logits.shape == (32, 1)
    assert float(loss.detach()) < 0.1
    said = TrainedScorer(scorer, net).logits(rows)
    assert said[label == 1].mean() > said[label == 0].mean() + 2


@pytest.mark.parametrize("kind", ["impressions", "sampled"])
def test_a_list_has_the_logits_of_its_pairs(lake_of: LakeOf, tiny: str, kind: str) -> None:
    lake = lake_of(kind)
    rows, _, _ = rows_on(lake, LATE)
    torch.manual_seed(0)
    name, architecture = shape("layer", tiny)
    scorer = TrainedScorer(name, build(name, schema_on(lake, LATE), architecture))
    assert scorer.reads_text
    assert not scorer.can_recall
    listed = np.random.default_rng(1).integers(0, len(rows), (len(rows), 5))
    lists = scorer.list_logits(rows.user, rows.item, listed, rows.context)
    user = np.repeat(np.arange(len(rows)), 5)
    pairs = Rows(rows.user.take(user), rows.item.take(listed.ravel()), rows.context[user])
    np.testing.assert_allclose(lists.ravel(), scorer.logits(pairs), rtol=1e-5, atol=1e-5)


def test_growing_leaves_every_logit_as_it_was_to_the_bit(lake_of: LakeOf, tiny: str) -> None:
    lake = lake_of("impressions")
    rows, _, _ = rows_on(lake, LATE)
    torch.manual_seed(0)
    name, architecture = shape("frozen", tiny)
    net = build(name, schema_on(lake, EARLY), architecture)
    before = TrainedScorer(name, net).logits(rows)
    net.grow(schema_on(lake, LATE))
    np.testing.assert_array_equal(TrainedScorer(name, net).logits(rows), before)
    assert net.schema == schema_on(lake, LATE)


@pytest.mark.parametrize("form", ["frozen", "lora", "gpt2"])
def test_a_checkpoint_gives_the_same_logits_and_holds_nothing_of_the_base(
    lake_of: LakeOf, tmp_path: Path, tiny: str, form: str
) -> None:
    lake = lake_of("impressions")
    first, second = trained(lake, tiny, form), trained(lake, tiny, form)
    weights, again = (c.checkpoint.net.state_dict() for c in (first, second))
    assert first.input_hash == second.input_hash
    assert all(torch.equal(values, again[name]) for name, values in weights.items())
    save_scorer(tmp_path / "scorer", first.checkpoint)
    rows, _, _ = rows_on(lake, DS)
    name = first.checkpoint.name
    KEPT.forget()
    loaded = load_scorer(tmp_path / "scorer")
    np.testing.assert_array_equal(
        loaded.logits(rows), TrainedScorer(name, first.checkpoint.net).logits(rows)
    )
    of_encoder = [name for name in weights if name.startswith("encoder.")]
    assert {
        "frozen": not of_encoder,
        "lora": all("lora_" in name for name in of_encoder) and len(of_encoder) == 4,
        "gpt2": "encoder.model._extra_state" in of_encoder,
    }[form]
    warm = trained(lake, tiny, form, shift(DS, 2), parent=tmp_path / "scorer")
    assert warm.fresh_because == []
    assert warm.checkpoint.training.first_day == DS


def test_only_adapters_and_the_net_above_are_trained_with_lora(tiny: str, lake_of: LakeOf) -> None:
    lake = lake_of("impressions")
    net = trained(lake, tiny, "lora").checkpoint.net
    base = encoder_of(net.encoder.architecture)
    fresh, now = dict(base.named_parameters()), dict(net.encoder.named_parameters())
    moved = {name for name, values in now.items() if not torch.equal(values, fresh[name])}
    assert any("lora_B" in name for name in moved)
    assert all("lora_" in name for name in moved)


@pytest.mark.parametrize("form", ["lora", "gpt2"])
def test_a_training_that_stopped_goes_on_to_the_same_weights(
    lake_of: LakeOf, tmp_path: Path, tiny: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.fitting import learning

    lake, path = lake_of("impressions"), tmp_path / "progress"
    whole = trained(lake, tiny, form)

    class Killed(BaseException):
        pass

    saved, real = [], learning.save_progress

    def save(path: Path, input_hash: str, progress: Progress) -> None:
        real(path, input_hash, progress)
        saved.append(progress.step)
        if len(saved) == 3:
            raise Killed

    monkeypatch.setattr(learning, "save_progress", save)
    with pytest.raises(Killed):
        trained(lake, tiny, form, progress=path)
    monkeypatch.undo()
    assert 0 < saved[-1] < len(whole.training_losses)
    KEPT.forget()
    resumed = trained(lake, tiny, form, progress=path)
    assert resumed.training_losses == whole.training_losses
    weights = whole.checkpoint.net.state_dict()
    for name, values in resumed.checkpoint.net.state_dict().items():
        assert torch.equal(values, weights[name]), name


def test_a_changed_base_is_refused_by_the_checkpoint_trained_on_it(
    lake_of: LakeOf, tmp_path: Path
) -> None:
    own = tiny_bert(tmp_path / "bert")
    saved = trained(lake_of("impressions"), own, "layer").checkpoint
    save_scorer(tmp_path / "scorer", saved)
    for file in Path(own).iterdir():
        file.unlink()
    Path(own).rmdir()
    tiny_bert(tmp_path / "bert", seed=1)
    with pytest.raises(RegistryError, match=r"has digest .*, expected .* was trained"):
        load_checkpoint(tmp_path / "scorer")


def test_rows_without_texts_are_refused_with_what_to_do(lake_of: LakeOf, tiny: str) -> None:
    lake = lake_of("impressions")
    name, architecture = shape("frozen", tiny)
    scorer = TrainedScorer(name, build(name, schema_on(lake, EARLY), architecture))
    examples = lake.read(EXAMPLES, [EARLY])
    with pytest.raises(TrainingError, match="with_text=True"):
        scorer.logits(FeatureReader(lake, EARLY, EARLY).rows(examples))


def test_a_days_pairs_are_bounded_and_drawn_by_the_seed(lake_of: LakeOf, tiny: str) -> None:
    lake, settings = lake_of("impressions"), quick(tiny, pairs_per_day=50)
    one = train_candidate(lake, settings, "bert", DS)
    assert one.checkpoint.training.rows == 50 * 5
    other = train_candidate(lake, settings.model_copy(update={"seed": 8}), "bert", DS)
    assert one.input_hash != other.input_hash


def test_chinese_is_read_with_a_tokenizer_of_its_characters(tmp_path: Path) -> None:
    architecture = text_architecture(
        "bert", TextSettings(bert_model=tiny_bert(tmp_path / "zh", CHARACTERS))
    )
    assert architecture is not None
    encoder = encoder_of(architecture).eval()
    words = Words()
    numbers = words.add(["红色运动鞋", "蓝色外套", "喜剧电影", "☃"])
    with torch.inference_mode():
        vectors = encoder(torch.from_numpy(numbers), words)
    likeness = vectors @ vectors.T
    torch.testing.assert_close(likeness.diagonal(), torch.ones(4))
    apart = likeness[~torch.eye(4, dtype=torch.bool)]
    assert float(apart.max()) < 0.9999
    # every character is a token of its own: none but the snowman's is unknown
    _, tokenizer = encoder._frozen._load()
    ids = tokenizer("红色运动鞋 喜剧电影")["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert len(ids) == 5 + 4 + 2


def test_gpt2_reads_any_script_with_the_tokenizer_that_it_fits(tiny: str) -> None:
    _, architecture = shape("gpt2", tiny)
    torch.manual_seed(0)
    assert architecture.text is not None
    encoder = encoder_of(replace(architecture.text, max_tokens=64))
    texts = ["红色运动鞋", "蓝色外套", "red shoes"]
    encoder.begin(texts)
    tokenizer = encoder.model._tokenizer
    for text in [*texts, "喜剧电影"]:  # the last one was not there when it was fitted
        assert tokenizer.decode(encoder.model.tokens_of(text)).strip() == text
        assert max(encoder.model.tokens_of(text)) < 300


def test_a_base_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no folder, and no model in .*bert_model"):
        text_architecture("bert", TextSettings(bert_model="nobody/nothing"))
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"no config\.json with \*\.safetensors"):
        text_architecture("bert", TextSettings(bert_model=str(tmp_path / "pickled")))
    with pytest.raises(ValueError, match="lora_rank: 4 adapts no layer"):
        TextSettings(lora_rank=4)
