from __future__ import annotations

import subprocess
import sys

import pytest

from pixelcluster.baselines.registry import METHODS, load_method
from pixelcluster.errors import PixelClusterError


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_the_same_arguments(name):
    method = load_method(name)(4, seed=1, device="cpu", minutes=0.1)
    assert callable(method.fit)
    assert callable(method.predict)
    assert METHODS[name].paper.split()[-1].isdigit()


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(PixelClusterError, match=r"unknown method 'k-means'; choose from per_pixel/kmeans"):
        load_method("k-means")


def test_the_registry_alone_imports_no_heavy_library():
    code = (
        "import sys, pixelcluster.baselines.registry; print({'torch', 'sklearn', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
