"""Bars of the gate that everything would pass, or that nothing decides, are refused by name."""

from __future__ import annotations

import pytest

from conf.errors import ConfigError
from conf.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MARGIN", "inf", "gate.margin: .*less than or equal to 1"),
        ("MARGIN", "2", "gate.margin: .*less than or equal to 1"),
        ("MARGIN", "0", "gate.margin"),
        ("MAX_ECE", "inf", "gate.max_ece"),
        ("MAX_NEW_USER_INCREASE", "inf", "gate.max_new_user_increase"),
        ("MAX_MEGABYTES", "inf", "gate.max_megabytes"),
        ("RESAMPLES", "1", "gate.resamples: .*greater than or equal to 200"),
    ],
)
def test_a_bar_that_says_nothing_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_settings({f"DAYFOLD__GATE__{name}": value})
