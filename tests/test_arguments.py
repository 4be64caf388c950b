from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.arguments import LARGEST_SEED, check_k, check_mode, check_n_clusters, check_seed
from pixelcluster.errors import PixelClusterError


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 2**45, 0.5, "0", None, True, False])
def test_seeds_that_are_none(seed) -> None:
    with pytest.raises(PixelClusterError, match=r"seed is .*; wanted a whole number from 0 to 4294967295$"):
        check_seed(seed)


def test_what_is_right_passes() -> None:
    for seed in (0, LARGEST_SEED):
        assert check_seed(seed) == seed
    assert [check_k(k) for k in (None, "auto", 1)] == [None, None, 1]
    assert [check_n_clusters(n) for n in ("auto", 1, 40)] == ["auto", 1, 40]
    check_mode("fast", ("fast", "exact"))


@pytest.mark.parametrize("check", [check_seed, check_k, check_n_clusters])
@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_whole_numbers_of_numpy_become_those_of_python(check, kind) -> None:
    assert type(check(kind(7))) is int
    assert check(kind(7)) == 7


@pytest.mark.parametrize("k", [0, -2, 2.5, "3", True])
def test_numbers_that_are_none(k) -> None:
    with pytest.raises(PixelClusterError, match=r"^k is .*; wanted a whole number from 1 up"):
        check_k(k)
    with pytest.raises(
        PixelClusterError, match=r"^n_clusters is .*; wanted a whole number from 1 up, or 'auto'$"
    ):
        check_n_clusters(k)


def test_an_unknown_mode_names_those_there_are() -> None:
    with pytest.raises(PixelClusterError, match="mode is 'Exact'; wanted fast or exact"):
        check_mode("Exact", ("fast", "exact"))
