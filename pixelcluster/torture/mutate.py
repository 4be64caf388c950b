"""Bytes of a file -> damaged bytes: flips, cuts, lengths, splices; and text -> damaged text."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable

import numpy as np

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WORDS = (
    *("null", "true", "-1", "0", "1e400", "-.inf", ".nan", "99999999999999999999", "[]", "{}", "*a", "&a"),
    *("!!python/object:os.system", "!!int", "2001-99-99", "'", '"', ":", "- ", "%YAML 9.9", "---", "<<: *a"),
    *("1_0", "0x", "12:99:99", "? ", "|", "n_clusters", "{a: b", "\t", "\0", "\u2028", "\ufeff", "[" * 500),
    *('"shape"', "[18446744073709551615,2]", '"F64"', '"BF16"', '"data_offsets"', "\n"),
)
"""What parsers of YAML and JSON stumble over."""
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def mutate(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """Return a damaged copy.

    Args:
        content: a whole file.
        other: another file of the kind, to splice with.
        random: chooses one to four kinds of damage and where.
    """
    data = bytearray(content)
    for _ in range(random.integers(1, 5)):
        if not data:
            break
        data = _KINDS[random.integers(len(_KINDS))](data, other, random)
    # A decoder never sees what is behind a wrong checksum: half of the PNGs get right ones.
    return _with_checksums(bytes(data)) if data[:8] == _PNG_MAGIC and random.random() < 0.5 else bytes(data)


def mutate_text(text: str, random: np.random.Generator) -> bytes:
    """Return a damaged copy of a text: words replaced, lines moved, repeated, indented; bytes at times."""
    for _ in range(random.integers(1, 4)):
        lines = text.split("\n")
        row = int(random.integers(len(lines)))
        kind = random.integers(5)
        if kind == 0:
            words = list(re.finditer(r"[\w.]+", text))
            if words:
                word = words[random.integers(len(words))]
                text = text[: word.start()] + _WORDS[random.integers(len(_WORDS))] + text[word.end() :]
            continue
        if kind == 1:
            lines[row] = "  " * int(random.integers(4)) + lines[row].lstrip()
        elif kind == 2:
            lines.insert(int(random.integers(len(lines) + 1)), lines[row])
        elif kind == 3:
            del lines[row]
        else:
            place = int(random.integers(len(lines[row]) + 1))
            lines[row] = lines[row][:place] + _WORDS[random.integers(len(_WORDS))] + lines[row][place:]
        text = "\n".join(lines)
    data = text.encode("utf-8", "surrogatepass")
    return mutate(data, data, random) if random.random() < 0.3 else data


def mutate_header(content: bytes, random: np.random.Generator) -> bytes:
    """Return a safetensors file whose JSON header is damaged but whose length of header is right."""
    length = int.from_bytes(content[:8], "little")
    header = mutate_text(content[8 : 8 + length].decode(), random)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _flip(data: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    for place in random.integers(len(data), size=random.integers(1, 9)):
        data[place] ^= 1 << int(random.integers(8))
    return data


def _set(data: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    """Put a number at the edge of its range somewhere, most often near the beginning, where headers are."""
    size, order = int(random.choice([1, 2, 4, 8])), str(random.choice(["little", "big"]))
    limit = len(data) if random.random() < 0.3 else min(len(data), 64)
    place = int(random.integers(limit))
    number = _NUMBERS[random.integers(len(_NUMBERS))] % 256**size
    data[place : place + size] = number.to_bytes(size, "little" if order == "little" else "big")
    return data


def _cut(data: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    return data[: random.integers(len(data) + 1)]


def _remove(data: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    start = int(random.integers(len(data)))
    del data[start : start + int(random.integers(1, 65))]
    return data


def _repeat(data: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    start, place = (int(random.integers(len(data))) for _ in range(2))
    part = data[start : start + int(random.integers(1, 65))]
    data[place:place] = part * int(random.integers(1, 4))
    return data


def _splice(data: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    return data[: random.integers(len(data) + 1)] + other[random.integers(len(other) + 1) :]


_KINDS: tuple[Callable[[bytearray, bytes, np.random.Generator], bytearray], ...] = (
    _flip,
    _set,
    _set,
    _cut,
    _remove,
    _repeat,
    _splice,
)


def _with_checksums(data: bytes) -> bytes:
    """Return a PNG whose chunks, as far as they are whole, have the right checksum."""
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(data):
            break
        parts += [data[place:end], struct.pack(">I", zlib.crc32(data[place + 4 : end]))]
        place = end + 4
    return b"".join([*parts, data[place:]])
