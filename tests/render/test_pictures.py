from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.label_map import encode_label_map, palette_with_ids
from pixelcluster.render.palette import categorical
from pixelcluster.render.pictures import Look, colourise, export_pictures, matching_image

IDS = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.int32)


@pytest.fixture
def label_map(tmp_path: Path) -> Path:
    path = tmp_path / "maps" / "cat_labels.png"
    path.parent.mkdir()
    encode_label_map(path, IDS, categorical(3), "png")
    return path


def test_own_colours_then_categorical(label_map: Path) -> None:
    np.testing.assert_array_equal(
        np.asarray(colourise(label_map, Look())), palette_with_ids(categorical(3))[IDS]
    )
    plain = label_map.with_name("dog.tif")
    encode_label_map(plain, IDS, categorical(3), "tif")
    np.testing.assert_array_equal(np.asarray(colourise(plain, Look())), categorical(3)[IDS])


def test_palette_files_and_mean_colours(label_map: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("1 2 3\n4 5 6\n7 8 9\n")
    picture = colourise(label_map, Look(palette=str(tmp_path / "p.txt")))
    np.testing.assert_array_equal(np.asarray(picture)[0], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    Image.new("RGB", (3, 2), (9, 200, 30)).save(tmp_path / "cat.png")
    flat = colourise(label_map, Look(palette="mean", image=tmp_path / "cat.png", opacity=1))
    assert np.asarray(flat).reshape(-1, 3).max(0)[1] >= 200
    (tmp_path / "short.txt").write_text("1 2 3\n")
    for palette, word in (("short.txt", "holds 1 colours"), ("gone.txt", "no such palette")):
        with pytest.raises(PixelClusterError, match=word):
            colourise(label_map, Look(palette=str(tmp_path / palette)))


def test_images_must_fit(label_map: Path, tmp_path: Path) -> None:
    Image.new("RGB", (5, 5)).save(tmp_path / "cat.jpg")
    with pytest.raises(PixelClusterError, match="3 x 2"):
        colourise(label_map, Look(image=tmp_path / "cat.jpg"))
    Image.new("RGB", (3, 2)).save(tmp_path / "cat.png")
    _, (failure,) = export_pictures([label_map], tmp_path / "out", Look(image=tmp_path))
    assert f"2 images named cat in {tmp_path}" in failure


def test_a_folder_goes_on_past_bad_maps(label_map: Path, tmp_path: Path) -> None:
    (label_map.parent / "bad_labels.png").write_text("no")
    Image.new("RGB", (3, 2)).save(label_map.parent / "cat_overlay.png")
    written, failures = export_pictures([label_map.parent], tmp_path / "out", Look())
    assert written == [tmp_path / "out" / "cat_colour.png"]
    assert len(failures) == 1
    assert "bad_labels.png" in failures[0]
    _, failures = export_pictures([label_map], tmp_path / "out", Look())
    assert "--overwrite" in failures[0]
    assert export_pictures([label_map], tmp_path / "out", Look(), overwrite=True)[1] == []


def test_maps_of_one_bare_name_get_names_apart(label_map: Path, tmp_path: Path) -> None:
    bare = label_map.with_name("cat.png")
    encode_label_map(bare, 2 - IDS, categorical(3), "png")
    for inputs in ([label_map, bare], [bare, label_map]):
        written, failures = export_pictures(inputs, tmp_path / "out", Look(), overwrite=True)
        assert [path.name for path in written] == ["cat_png-1_colour.png", "cat_png-2_colour.png"]
        assert failures == []
        for path, source in zip(written, inputs, strict=True):
            with Image.open(path) as picture:
                np.testing.assert_array_equal(np.asarray(picture), np.asarray(colourise(source, Look())))


def test_a_map_reached_twice_is_drawn_once(label_map: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(label_map, label_map.with_name("dog_labels.png"))
    inputs = [Path("maps/dog_labels.png"), label_map.parent, Path("maps"), label_map]
    written, failures = export_pictures(inputs, tmp_path / "out", Look())
    assert sorted(path.name for path in written) == ["cat_colour.png", "dog_colour.png"]
    assert failures == []


def test_names_of_nothing_but_the_ending_are_kept(label_map: Path, tmp_path: Path) -> None:
    only = label_map.rename(label_map.with_name("_labels.png"))
    (written,), _ = export_pictures([only], tmp_path / "out", Look())
    assert written.name == "_labels_colour.png"


def test_pictures_are_found_where_segment_found_them(tmp_path: Path) -> None:
    out, nest = tmp_path / "out", tmp_path / "nest"
    for name in ("dog_png", "dog_jpg", "sub/cat", "sub/a_b"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        encode_label_map(out / f"{name}_labels.png", IDS, categorical(3), "png")
    for name in ("dog.png", "dog.jpg", "sub/cat.png", "cat.png"):
        (nest / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2)).save(nest / name)
    written, (failure,) = export_pictures([out], tmp_path / "pictures", Look(image=nest))
    assert len(written) == 3
    assert f"0 images named a_b in {nest / 'sub'} or {nest}" in failure
    assert matching_image(Path("cat_labels.png"), nest, Path("sub")) == nest / "sub/cat.png"
    assert matching_image(Path("cat_labels.png"), nest, Path("other")) == nest / "cat.png"


def test_paths_are_resolved_once_each(label_map: Path, tmp_path: Path, monkeypatch) -> None:
    for number in range(19):
        shutil.copy(label_map, label_map.with_name(f"{number}_labels.png"))
    resolved, real = [], os.path.realpath
    monkeypatch.setattr("os.path.realpath", lambda path, **k: resolved.append(path) or real(path, **k))
    written, _ = export_pictures([label_map.parent], tmp_path / "out", Look())
    assert len(written) == 20
    assert len(resolved) <= 10 * 20


def test_a_folder_that_cannot_be_read_is_told(label_map: Path, tmp_path: Path, monkeypatch) -> None:
    def walk(folder: Path, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder)))

    monkeypatch.setattr("os.walk", walk)
    written, failures = export_pictures([label_map.parent, label_map], tmp_path / "out", Look())
    assert len(written) == 1
    assert "folder cannot be read (Permission denied)" in failures[0]
