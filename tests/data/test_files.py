from __future__ import annotations

import gzip

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.files import choose, images_by_stem, read_label_png, read_stems
from pixelcluster.errors import PixelClusterError


def test_lists_are_read_plain_and_gzipped_in_order(tmp_path):
    plain, packed = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    plain.write_text("002\n001\n\n", encoding="utf-8")
    packed.write_bytes(gzip.compress(b"003\r\n"))
    assert read_stems(plain) == ["002", "001"]
    assert read_stems([plain, packed]) == ["002", "001", "003"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no stems"),
        (b"a\nb\na\n", "a is listed 2 times"),
        (gzip.compress(b"a\n" * 99)[:-9], "cannot read"),
        (b"\xff\xfe", "cannot read"),
    ],
)
def test_bad_lists_are_refused(tmp_path, content, message):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(PixelClusterError, match=message) as caught:
        read_stems(path)
    assert "list.txt" in str(caught.value)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(PixelClusterError, match=r"nowhere\.txt"):
        read_stems(tmp_path / "nowhere.txt")


def test_images_are_found_by_stem(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert list(images_by_stem(tmp_path)) == ["a", "b"]
    (tmp_path / "a.jpeg").touch()
    with pytest.raises(PixelClusterError, match="same stem"):
        images_by_stem(tmp_path)


def test_missing_images_are_counted_and_named():
    assert choose(["a", "b"], None, "here") == ["a", "b"]
    assert choose(["a", "b"], ["b"], "here") == ["b"]
    with pytest.raises(PixelClusterError, match="here: 2 of 3 listed images are missing, first c"):
        choose(["a", "b"], ["a", "d", "c"], "here")
    with pytest.raises(PixelClusterError, match="no JPEG or PNG"):
        choose([], None, "here")


def test_labels_are_read_from_grey_and_palette(tmp_path):
    ids = np.array([[0, 181], [255, 7]], dtype=np.uint8)
    Image.fromarray(ids).save(tmp_path / "grey.png")
    palette = Image.fromarray(ids).convert("P")
    palette.putpalette([5] * 768)
    palette.save(tmp_path / "palette.png")
    for name in ("grey", "palette"):
        assert np.array_equal(read_label_png(tmp_path / f"{name}.png"), ids)


def test_bad_labels_are_refused(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "colour.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(PixelClusterError, match=r"colour\.png: label has mode RGB"):
        read_label_png(tmp_path / "colour.png")
    with pytest.raises(PixelClusterError, match=r"empty\.png: cannot read"):
        read_label_png(tmp_path / "empty.png")
