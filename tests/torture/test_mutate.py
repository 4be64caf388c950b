from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest

from pixelcluster.torture.mutate import mutate, mutate_header, mutate_text
from pixelcluster.torture.readers import image_samples

TEXT = "a: {b: 1}\nc: [2, 3]\n"


def test_the_same_seed_damages_the_same_way_and_another_another() -> None:
    content = bytes(range(256))
    outcomes = [mutate(content, content[::-1], np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_nearly_every_copy_differs_and_the_original_does_not() -> None:
    content = bytes(range(256)) * 4
    copies = [mutate(content, content, np.random.default_rng(seed)) for seed in range(100)]
    assert sum(copy != content for copy in copies) > 90
    assert len(set(copies)) > 90
    assert content == bytes(range(256)) * 4
    assert sum(mutate_text(TEXT, np.random.default_rng(seed)) != TEXT.encode() for seed in range(100)) > 80


@pytest.mark.parametrize("content", [b"", b"x"])
def test_tiny_files_can_be_damaged(content: bytes) -> None:
    for seed in range(50):
        mutate(content, content, np.random.default_rng(seed))


def test_some_damaged_pngs_have_right_checksums() -> None:
    (content, *_) = image_samples("png")
    right = 0
    for seed in range(100):
        damaged, place, good = mutate(content, content, np.random.default_rng(seed)), 8, 0
        while place + 12 <= len(damaged):
            (length,) = struct.unpack(">I", damaged[place : place + 4])
            chunk = damaged[place + 4 : place + 8 + length]
            good += damaged[place + 8 + length :][:4] == struct.pack(">I", zlib.crc32(chunk))
            place += 12 + length
        right += good > 1 and damaged != content
    assert right > 20


def test_a_damaged_header_is_found_by_its_length() -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    content = len(header).to_bytes(8, "little") + header + b"12345678"
    changed = 0
    for seed in range(20):
        damaged = mutate_header(content, np.random.default_rng(seed))
        length = int.from_bytes(damaged[:8], "little")
        assert damaged[8 + length :] == b"12345678"
        changed += damaged[8 : 8 + length] != header
    assert changed > 10
