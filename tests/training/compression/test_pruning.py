import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from training.compression.pruning import deflated, pruned


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    shapes = {"first.weight": (16, 8), "first.bias": (16,), "second.weight": (1, 16)}
    return {name: torch.randn(shape, generator=numbers) for name, shape in shapes.items()}


@given(share=st.floats(0.0, 1.0), seed=st.integers(0, 50))
def test_what_is_left_is_what_numpy_keeps_above_one_threshold(share: float, seed: int) -> None:
    dense = weights(seed)
    flat = np.concatenate([tensor.numpy().ravel() for tensor in dense.values()])
    zeros = int(share * len(flat))
    expected = flat.copy()
    expected[np.argsort(np.abs(flat), kind="stable")[:zeros]] = 0.0

    sparse = pruned(dense, share)

    found = np.concatenate([tensor.numpy().ravel() for tensor in sparse.values()])
    np.testing.assert_array_equal(found, expected)
    assert [tensor.shape for tensor in sparse.values()] == [t.shape for t in dense.values()]


def test_the_dense_weights_stay_as_they_were() -> None:
    dense = weights()

    pruned(dense, 0.9)

    assert all(torch.equal(dense[name], tensor) for name, tensor in weights().items())


def test_equal_magnitudes_are_pruned_in_their_order() -> None:
    sparse = pruned({"a": torch.ones(2), "b": -torch.ones(2)}, 0.75)

    assert sparse["a"].tolist() == [0.0, 0.0]
    assert sparse["b"].tolist() == [0.0, -1.0]


def test_zeros_make_the_deflated_file_smaller() -> None:
    dense = {"table": torch.randn(200, 16, generator=torch.Generator().manual_seed(1))}

    assert deflated(save(pruned(dense, 0.8))) < 0.5 * deflated(save(dense))


def test_a_share_above_one_is_refused_by_its_value() -> None:
    with pytest.raises(ValueError, match=r"share: 1.5 is not a share, expected 0 to 1"):
        pruned(weights(), 1.5)
