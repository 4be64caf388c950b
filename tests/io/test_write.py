from __future__ import annotations

import os
from pathlib import Path

import pytest

from pixelcluster.errors import PixelClusterError
from pixelcluster.io import write
from pixelcluster.io.write import atomic_set, atomic_write, make_folder
from tests.disks import fill_up


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"whole")
        assert temporary.parent == tmp_path
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_and_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(error), atomic_write(target, overwrite=True) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_set_of_files_changes_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed at any point leaves the old set, the new one, or one that lacks files: no mixture."""

    def contents() -> list[str | None]:
        return [path.read_text() if path.exists() else None for path in (tmp_path / "a", tmp_path / "b")]

    def write_set(text: str) -> None:
        with atomic_set([tmp_path / "a", tmp_path / "b"], overwrite=True) as temporaries:
            for temporary in temporaries:
                temporary.write_text(text)

    write_set("old")
    seen, rename = [], os.replace
    monkeypatch.setattr(os, "replace", lambda *names: (seen.append(contents()), rename(*names)))
    write_set("new")
    assert [*seen, contents()] == [[None, None], [None, "new"], ["new", "new"]]
    with pytest.raises(RuntimeError), atomic_set([tmp_path / "a", tmp_path / "b"], overwrite=True) as files:
        files[0].write_text("half")
        raise RuntimeError
    fill_up(monkeypatch, 2)
    with pytest.raises(PixelClusterError, match=r"/b: cannot be written \(No space left"):
        write_set("newer")
    assert contents() == ["new", "new"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_alone_is_never_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, rename, seen = tmp_path / "a", os.replace, []
    target.write_text("old")
    monkeypatch.setattr(os, "replace", lambda *names: (seen.append(target.read_text()), rename(*names)))
    with atomic_write(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert [*seen, target.read_text()] == ["old", "new"]


def test_a_set_lies_in_any_folders(tmp_path: Path) -> None:
    paths = [tmp_path / "maps" / "a", tmp_path / "polygons" / "a"]
    for path in paths:
        path.parent.mkdir()
    with atomic_set(paths) as temporaries:
        for temporary, path in zip(temporaries, paths, strict=True):
            assert temporary.parent == path.parent
            temporary.write_text(str(path))
    assert [path.read_text() for path in paths] == [str(path) for path in paths]


def test_a_file_in_the_way_keeps_the_whole_set_away(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    paths[1].write_text("old")
    with pytest.raises(PixelClusterError, match=r"/b: exists already"), atomic_set(paths):
        pytest.fail("must refuse before the work")
    assert list(tmp_path.iterdir()) == [paths[1]]
    paths[1].unlink()
    with pytest.raises(PixelClusterError, match=r"/a: exists already"), atomic_set(paths):
        paths[0].write_text("theirs")  # meanwhile
    assert list(tmp_path.iterdir()) == [paths[0]]
    assert paths[0].read_text() == "theirs"


def test_existing_files_and_dangling_links_are_kept(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("old", "link"):
        with pytest.raises(PixelClusterError, match="--overwrite"), atomic_write(tmp_path / name):
            pytest.fail("must refuse before the work")
    with atomic_write(tmp_path / "old", overwrite=True) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "old").read_text() == "new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="exists"), atomic_write(tmp_path / "x") as temporary:
        temporary.write_text("mine")
        (tmp_path / "x").write_text("theirs")
    assert (tmp_path / "x").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_mode_follows_the_umask_even_if_the_writer_changes_it(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "x") as temporary:
            temporary.unlink()
            temporary.touch(0o600)  # as a library that writes its own private file does
    finally:
        os.umask(previous)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_data_reach_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(write.os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(write.os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    with atomic_write(tmp_path / "x") as temporary:
        temporary.touch()
    assert calls == ["fsync", "replace", "fsync"]


def test_names_of_the_longest_length_work(tmp_path: Path) -> None:
    with atomic_write(tmp_path / ("n" * 251 + ".bin")) as temporary:
        temporary.touch()
    assert len(list(tmp_path.iterdir())) == 1


def test_folder_problems_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for target, word in ((tmp_path / "no" / "x", "no such folder"), (tmp_path, "is a folder")):
        with pytest.raises(PixelClusterError, match=word), atomic_write(target):
            pytest.fail("must refuse before the work")
    with pytest.raises(PixelClusterError, match="a file is in its place"):
        make_folder(tmp_path / "file" / "sub")
    monkeypatch.setattr(write.os, "access", lambda *_: False)
    with pytest.raises(PixelClusterError, match="not writable"), atomic_write(tmp_path / "x"):
        pytest.fail("must refuse before the work")


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="No space left") as caught, atomic_write(tmp_path / "x"):
        raise OSError(28, "No space left on device")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
