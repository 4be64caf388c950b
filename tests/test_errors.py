from __future__ import annotations

import numpy as np
import pytest

import pixelcluster
from pixelcluster.errors import PixelClusterWarning


@pytest.mark.parametrize("call", [pixelcluster.read_image, pixelcluster.segment])
def test_a_warning_of_an_image_points_at_the_caller_however_deep_it_arises(call) -> None:
    clear = np.full((4, 4, 4), 0.5, np.float32)
    twelve_bits = np.full((4, 4), 4000, np.uint16)
    for image, words in ((clear, "laid over white"), (twelve_bits, "reach 4000 of 65535")):
        with pytest.warns(PixelClusterWarning, match=words) as caught:
            call(image)
        assert [warning.filename for warning in caught] == [__file__]
