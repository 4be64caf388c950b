from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.folder import ImageFolder, limit_side
from pixelcluster.errors import PixelClusterError


def test_bad_files_are_left_out_and_kept(tmp_path):
    (tmp_path / "deeper").mkdir()
    Image.new("RGB", (40, 20), "blue").save(tmp_path / "deeper" / "wide.png")
    Image.new("L", (3, 5), 255).save(tmp_path / "grey.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    folder = ImageFolder([tmp_path], max_side=16)
    assert sorted(path.name for path in folder.paths) == ["grey.png", "wide.png"]
    assert [path.name for path, _ in folder.failures] == ["broken.png"]
    assert "broken.png" in folder.failures[0][1]
    shapes = {path.name: folder[i].shape for i, path in enumerate(folder.paths)}
    assert shapes == {"grey.png": (5, 3, 3), "wide.png": (8, 16, 3)}
    assert len(folder) == 2


def test_a_folder_without_readable_images_is_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(PixelClusterError, match=r"no readable image in .*broken\.png"):
        ImageFolder([tmp_path])


def test_max_side_must_be_positive(tmp_path):
    with pytest.raises(PixelClusterError, match="max_side"):
        ImageFolder([tmp_path], max_side=0)


def test_shrinking_averages_areas_and_never_enlarges():
    checks = np.indices((8, 8)).sum(axis=0) % 2
    image = np.repeat(checks[..., None], 3, axis=2).astype(np.float32)
    assert limit_side(image, 4) == pytest.approx(np.full((4, 4, 3), 0.5))
    assert limit_side(image, 8) is image
    assert limit_side(image[:1], 2).shape == (1, 2, 3)
