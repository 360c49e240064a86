"""Rules of vocabularies, as a dataset declares them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from conf.dataset import Attribute, DatasetConfig, Labels


def _declared(**vocabulary: dict[str, object]) -> DatasetConfig:
    names = {name.replace("__", "."): rule for name, rule in vocabulary.items()}
    return DatasetConfig.model_validate(
        {
            "name": "shop",
            "user_attributes": (Attribute(name="age", kind="numeric", bins=(18,)),),
            "item_attributes": (Attribute(name="category", kind="categorical"),),
            "context": ("device",),
            "positive": {"click": 1.0},
            "labels": Labels(kind="sampled"),
            "vocabulary": names,
        }
    )


def test_every_field_with_ids_may_have_a_rule() -> None:
    rule: dict[str, object] = {"min_count": 3, "expire_days": 30}
    fields = ("user_id", "item_id", "item__category", "context__device")
    declared = _declared(**dict.fromkeys(fields, rule))
    assert set(declared.vocabulary) == set(declared.vocabulary_fields)
    assert declared.vocabulary["context.device"].expire_days == 30
    assert _declared(user_id={}).vocabulary["user_id"].min_count == 1


@pytest.mark.parametrize("field", ["category", "item__colour", "user__age"])
def test_a_field_without_a_vocabulary_is_refused_with_those_that_have_one(field: str) -> None:
    with pytest.raises(ValidationError, match=r"vocabulary: .*expected names among \['user_id'"):
        _declared(**{field: {}})


@pytest.mark.parametrize("rule", [{"min_count": 0}, {"expire_days": 0}, {"max_count": 3}])
def test_a_rule_that_cannot_be_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(rule))):
        _declared(user_id=rule)
