from __future__ import annotations

import json
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.flicker import planted_clip
from pixelcluster.io import video_write
from pixelcluster.io.video import open_video
from pixelcluster.io.video_write import label_video, picture_video
from pixelcluster.render.palette import categorical
from tests.videos import RATE, mark_rotated, write_video

av = pytest.importorskip("av")

LATE = [0, 1, 2, 5, 6]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Five frames of 66 x 40, the fourth of them shown late."""
    images = [frame.image for frame in planted_clip(5, 40, 66, noise=0)[0]]
    write_video(tmp_path / "clip.mp4", images, LATE)
    return tmp_path / "clip.mp4"


def cv2_frames(path: Path, *, raw: bool = False) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    if raw:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    frames = []
    while True:
        more, frame = capture.read()
        if not more:
            return frames
        frames.append(frame)


def test_frames_as_another_reader_sees_them(clip: Path) -> None:
    with open_video(clip) as video:
        assert video.shape == (40, 66)
        assert (video.rate, video.n_frames) == (Fraction(150000, 7007), 5)
        frames = list(video.frames)
        times = [frame.time * video.time_base for frame in frames]
    assert times == [time / RATE for time in LATE]
    for frame, other in zip(frames, cv2_frames(clip), strict=True):
        assert frame.image.dtype == np.uint8
        assert np.abs(frame.image.astype(int) - other[..., ::-1]).mean() < 3


@pytest.mark.parametrize(
    ("name", "container"), [("v.mov", "mov"), ("v.mkv", "matroska"), ("v.avi", "avi"), ("v.webm", "webm")]
)
def test_containers(tmp_path: Path, name: str, container: str) -> None:
    images = [frame.image for frame in planted_clip(3, 32, 48)[0]]
    codec = "libvpx" if container == "webm" else "mpeg4"
    if container == "webm" and codec not in av.codecs_available:
        pytest.skip("PyAV without libvpx")
    write_video(tmp_path / name, images, container=container, codec=codec)
    with open_video(tmp_path / name) as video:
        frames = list(video.frames)
    assert [frame.image.shape for frame in frames] == [(32, 48, 3)] * 3
    assert [frame.time for frame in frames] == sorted({frame.time for frame in frames})


def test_rotation_is_applied(clip: Path) -> None:
    with open_video(clip) as video:
        plain = [frame.image for frame in video.frames]
    mark_rotated(clip)
    with open_video(clip) as video:
        assert video.shape == (66, 40)
        for frame, before, other in zip(video.frames, plain, cv2_frames(clip), strict=True):
            np.testing.assert_array_equal(frame.image, np.rot90(before, -1))
            assert other.shape == frame.image.shape
            assert np.abs(frame.image.astype(int) - other[..., ::-1]).mean() < 3


@pytest.mark.parametrize("n_clusters", [5, 300])
def test_ids_survive_in_both_readers(tmp_path: Path, clip: Path, n_clusters: int, rng) -> None:
    labels = rng.integers(0, n_clusters, (5, 40, 66)).astype(np.int32)
    labels[0, 0, :2] = 0, n_clusters - 1
    path = tmp_path / "labels.mkv"
    names = ("sky", *[""] * (n_clusters - 1))
    with (
        open_video(clip) as video,
        label_video(path, path, video, categorical(n_clusters), names) as write,
    ):
        for frame, ids in zip(video.frames, labels, strict=True):
            write(ids, frame.time)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        classes = json.loads(container.metadata["CLASSES"])
        assert container.streams.video[0].average_rate == pytest.approx(float(150000 / 7007), rel=1e-3)
    np.testing.assert_array_equal([frame.to_ndarray() for frame in frames], labels)
    assert [frame.time for frame in frames] == pytest.approx([float(t / RATE) for t in LATE], abs=5e-4)
    assert (len(classes), classes[0]["name"]) == (n_clusters, "sky")
    other = cv2_frames(path, raw=n_clusters > 256)
    if n_clusters <= 256:
        assert (other[0][..., 0] == other[0][..., 2]).all()
        other = [frame[..., 1] for frame in other]
    np.testing.assert_array_equal(other, labels)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pictures_of_odd_size(tmp_path: Path, monkeypatch, codec: str) -> None:
    images = [frame.image[:41, :63] for frame in planted_clip(4, 48, 64, noise=0)[0]]
    source, path = tmp_path / "in.mkv", tmp_path / "out.mp4"
    write_video(source, [image[:40, :62] for image in images], [0, 33, 66, 200], container="matroska",
                time_base=Fraction(1, 1000))  # fmt: skip
    if codec == "mpeg4":
        monkeypatch.setattr(video_write, "picture_codec", lambda: "mpeg4")
    elif video_write.picture_codec() != codec:
        pytest.skip("PyAV without x264")
    with open_video(source) as video:
        odd = type(video)(**(vars(video) | {"shape": (41, 63)}))
        with picture_video(path, path, odd) as write:
            for frame, image in zip(video.frames, images, strict=True):
                write(image, frame.time)
    with open_video(path) as video:
        assert video.shape == (42, 64)
        found = list(video.frames)
        times = [float(frame.time * video.time_base) for frame in found]
    assert times == pytest.approx([0, 0.033, 0.066, 0.2], abs=1e-4)
    for frame, image in zip(found, images, strict=True):
        assert np.abs(frame.image[:41, :63].astype(int) - image).mean() < 6


def refuses(path: Path, *words: str, **options: int) -> None:
    with pytest.raises(PixelClusterError) as caught, open_video(path, **options) as video:
        list(video.frames)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


def test_what_is_no_video(tmp_path: Path, clip: Path) -> None:
    data = clip.read_bytes()
    for name, content, word in (
        ("text.mp4", b"hello, this is a text", "not a video"),
        ("list.mp4", b"#EXTM3U\nhttp://example.com/a.ts\n", "not a video"),
        ("concat.mkv", b"ffconcat version 1.0\nfile /etc/passwd\n", "not a video"),
        ("empty.mp4", b"", "empty"),
        ("header.mp4", data[:20], "cut off"),
        ("no_frames.avi", b"RIFF\x04\0\0\0AVI ", "no_frames.avi"),
        ("ebml.mkv", b"\x1a\x45\xdf\xa3\x80" + bytes(40), "ebml.mkv"),
    ):
        (tmp_path / name).write_bytes(content)
        refuses(tmp_path / name, word)
    refuses(tmp_path / "gone.mp4", "no such file")
    refuses(tmp_path, "folder")


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_cut_anywhere_is_refused(tmp_path: Path, container: str) -> None:
    images = [frame.image for frame in planted_clip(4, 32, 48)[0]]
    write_video(tmp_path / "whole.bin", images, container=container)
    data = (tmp_path / "whole.bin").read_bytes()
    for share in (0.05, 0.3, 0.6, 0.95):
        (tmp_path / "cut.mp4").write_bytes(data[: int(share * len(data))])
        refuses(tmp_path / "cut.mp4")
    (tmp_path / "cut.mp4").write_bytes(data[:-1])
    refuses(tmp_path / "cut.mp4", "cut off")


def test_noise_inside_ends_in_an_error_or_in_frames(tmp_path: Path, clip: Path) -> None:
    data = clip.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(30):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 20):
            broken[place] = rng.integers(256)
        (tmp_path / "b.mp4").write_bytes(bytes(broken))
        # Whatever the codec makes of it: no other exception, no other size.
        with suppress(PixelClusterError), open_video(tmp_path / "b.mp4", max_pixels=10_000) as video:
            assert {frame.image.shape for frame in video.frames} == {(*video.shape, 3)}


def test_the_pixel_cap_comes_before_decoding(clip: Path) -> None:
    refuses(clip, "66 x 40", "--max-pixels", max_pixels=66 * 40 - 1)
    for cap in (66 * 40, 2**40):
        with open_video(clip, max_pixels=cap) as video:
            assert len(list(video.frames)) == 5


def test_a_video_without_pictures(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        for i in range(4):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate, frame.pts = 8000, 1024 * i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    refuses(tmp_path / "sound.mp4", "no video stream")


def test_without_pyav(clip: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    refuses_import = pytest.raises(PixelClusterError, match=r"pixelcluster\[video\]")
    with refuses_import, open_video(clip):
        pass


def test_a_full_disk(tmp_path: Path, clip: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with (
        pytest.raises(PixelClusterError, match=r"labels\.mkv: cannot be written"),
        open_video(clip) as video,
        label_video(full, tmp_path / "labels.mkv", video, categorical(2), ("", "")) as write,
    ):
        for frame in video.frames:
            write(np.zeros((40, 66), np.int32), frame.time)


def test_a_part_that_claims_to_be_huge_is_a_file_cut_off(tmp_path: Path) -> None:
    """Found by damage: file systems refuse to seek to where such a part would end."""
    head = b"\x1a\x45\xdf\xa3" + (1 << 56 | 1 << 50).to_bytes(8, "big")
    path = tmp_path / "clip.mkv"
    path.write_bytes(head + bytes(100))
    with pytest.raises(PixelClusterError, match="cut off"), open_video(path):
        pass
