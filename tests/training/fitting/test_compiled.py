"""A training whose net torch compiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from conf.training import TrainingSettings
from feature_store.days import shift
from feature_store.lake import Lake
from tests.training.log_fixture import FIRST_DAY
from training.fitting.candidate import train_candidate

SETTINGS = TrainingSettings(
    batch_size=256, embedding_dim=4, hidden=(16, 8), bootstrap_epochs=1, dropout=0.0
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what torch warns of while it compiles
def test_a_compiled_net_learns_what_it_learns_uncompiled(
    lake_of: Callable[[str], Lake],
) -> None:
    lake, ds = lake_of("impressions"), shift(FIRST_DAY, 7)
    plain = train_candidate(lake, SETTINGS, "mlp", ds)
    compiled = train_candidate(lake, SETTINGS.model_copy(update={"compile": "on"}), "mlp", ds)
    np.testing.assert_allclose(compiled.training_losses, plain.training_losses, rtol=1e-4)
    net = compiled.checkpoint.net
    assert net._compiled_call_impl is None
    for name, values in plain.checkpoint.net.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], values, rtol=1e-3, atol=1e-3)
