"""Many images through one process, and many processes through one folder."""

from __future__ import annotations

import io
import multiprocessing
import os
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pixelcluster.errors import PixelClusterError
from pixelcluster.torture.commands import damaged_files, finish, start
from pixelcluster.torture.rows import Row
from pixelcluster.torture.samples import write_model, write_pictures

GROWTH = 50_000_000
"""Bytes a process may grow by over all images but the first tenth."""
PROCESSES = 8


def soak_section(count: int, seed: int = 0) -> list[Row]:
    """Segment `count` images of mixed sizes in one process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_soak, args=(theirs, count, seed))
    child.start()
    theirs.close()
    try:
        early, late = ours.recv()
    except EOFError:
        raise PixelClusterError("the soak process died; run the section alone to see why") from None
    finally:
        child.join()
    growth = late - early
    result = f"{count} images, {early / 1e6:.0f} MB after the first tenth, {growth / 1e6:+.1f} MB since"
    return [
        Row("soak", "mixed sizes through one process", result, f"< {GROWTH / 1e6:.0f} MB", growth < GROWTH)
    ]


def _soak(pipe: Connection, count: int, seed: int) -> None:
    from pixelcluster.cli.main import cli
    from pixelcluster.io.label_map import read_label_map

    random = np.random.default_rng(seed)
    early = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        options = ["--model", write_model(folder / "model"), "-o", folder / "out", "--overwrite"]
        for index in range(count):
            height, width = random.integers(16, 400, size=2).tolist()
            source = write_pictures(folder / "in", 1, height=height, width=width)[0]
            with redirect_stdout(io.StringIO()):
                cli.main([str(part) for part in ("segment", source, *options)], standalone_mode=False)
            if read_label_map(folder / "out" / f"{source.stem}_labels.png").shape != (height, width):
                raise PixelClusterError(f"image {index} came out at another size")
            if index == count // 10:
                early = resident()
        pipe.send((early, resident()))


def resident() -> int:
    """Return the memory this process holds, in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return 0


def crowd_section(count: int, seed: int = 0) -> list[Row]:
    """Let 8 processes segment `count` images each and 3 in common, with one model, into one folder."""
    findings = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        model, output = write_model(folder / "model"), folder / "out"
        common = write_pictures(folder / "common", 3)
        wanted, processes = {path.stem for path in common}, []
        for number in range(PROCESSES):
            plain = write_pictures(folder / f"own-{number}", count)
            own = [path.rename(path.with_name(f"{number}-{path.name}")) for path in plain]
            wanted |= {path.stem for path in own}
            arguments = [*own, *common, "--model", model, "-o", output, "--overwrite"]
            processes.append(start(["segment", *arguments]))
        for number, process in enumerate(processes):
            code, errors = finish(process)
            if code:
                findings.append(f"process {number}: code {code}, {errors.strip()[-300:]}")
        findings += damaged_files(output)
        missing = [stem for stem in sorted(wanted) if not (output / f"{stem}_labels.png").exists()]
        findings += [f"{stem}: no label map" for stem in missing]
        findings += [f"{path.name}: left over" for path in output.glob(".*")]
        n_files = len(list(output.glob("*.png")))
    result = f"{PROCESSES} processes, {n_files} files, {len(findings)} torn, lost or left over"
    return [
        Row("crowd", "one model folder, one output folder", result, "0", not findings, tuple(findings[:9]))
    ]
