"""A full disk, a folder that cannot be written, images that vanish: one line, and the last good state."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from pixelcluster.torture.commands import damaged_files, finish, one_line, start, train_arguments, wait_until
from pixelcluster.torture.rows import Row
from pixelcluster.torture.samples import write_model, write_pictures

_BLOCK = 4096


def disk_section(count: int, seed: int = 0) -> list[Row]:
    """Train and segment under `count` limits on the size of a file each; then without folders and images."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        pictures = write_pictures(folder / "pictures", 6)[0].parent
        model = write_model(folder / "model")
        return [
            _full_while_training(folder, pictures, count),
            _full_while_segmenting(folder, pictures, model, count),
            _refusals(folder, pictures, model),
        ]


def _full_while_training(folder: Path, pictures: Path, count: int) -> Row:
    """Replace a model under a limit on what can be written; the model that was there must stay."""
    output = folder / "replaced"
    write_model(output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    findings, written = list[str](), 0
    for index in range(count):
        limit = _BLOCK * (index + 1)
        every = 0 if index % 2 else 60  # the checkpoint, or the model itself, does not fit
        arguments = train_arguments(pictures, output, checkpoint_every=every)
        code, errors = finish(start(arguments, file_limit=limit))
        if code == 0:
            written += 1
            shutil.rmtree(output)
            write_model(output)
            before = {path.name: path.read_bytes() for path in output.iterdir()}
            continue
        after = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
        if code != 1 or not one_line(errors):
            findings.append(f"limit {limit}: code {code}, {errors.strip()[-300:]}")
        if after != before and "model.safetensors: " in errors:
            findings.append(f"limit {limit}: the old model changed")
        findings += [f"limit {limit}: {problem}" for problem in damaged_files(output)]
    result = f"{count - len(findings)}/{count} in order ({written} fitted)"
    return Row(
        "disk",
        "train, file size limited",
        result,
        "one line, old model intact",
        not findings,
        tuple(findings[:9]),
    )


def _full_while_segmenting(folder: Path, pictures: Path, model: Path, count: int) -> Row:
    findings = []
    for index in range(count):
        output, limit = folder / f"limited-{index}", 200 * (index + 1)
        arguments = ["segment", pictures, "--model", model, "-o", output, "--probabilities"]
        code, errors = finish(start(arguments, file_limit=limit))
        if code not in (0, 1) or (code and "Traceback" in errors):
            findings.append(f"limit {limit}: code {code}, {errors.strip()[-300:]}")
        left = [path.name for path in output.glob(".*")] if output.exists() else []
        findings += [f"limit {limit}: {problem}" for problem in [*damaged_files(output), *left]]
    result = f"{count - len(findings)}/{count} in order"
    return Row(
        "disk", "segment, file size limited", result, "no torn file", not findings, tuple(findings[:9])
    )


def _refusals(folder: Path, pictures: Path, model: Path) -> Row:
    """What cannot be read or written is one line; permissions are left out where they do not bind (root)."""
    locked, file = folder / "locked", folder / "file"
    locked.mkdir()
    file.touch()
    cases: dict[str, list[object]] = {
        "no images": ["segment", folder / "gone", "--model", model],
        "no model": ["segment", pictures, "--model", folder / "gone"],
        "output is a file": ["train", pictures, "-o", file],
        "nothing to resume": ["train", "--resume", folder / "gone"],
    }
    if os.geteuid() != 0:
        locked.chmod(0o500)
        cases["read-only folder"] = ["segment", pictures, "--model", model, "-o", locked]
        cases["read-only folder, training"] = ["train", pictures, "-o", locked / "new"]
    findings = []
    for name, arguments in cases.items():
        code, errors = finish(start(arguments))
        if code != 1 or not one_line(errors):
            findings.append(f"{name}: code {code}, {errors.strip()[-300:]}")
    vanished, output = write_pictures(folder / "vanishing", 300)[0].parent, folder / "vanished"
    process = start(["segment", vanished, "--model", model, "-o", output])
    wait_until(lambda: output.exists() and any(output.glob("*.png")), process)
    shutil.rmtree(vanished)
    code, errors = finish(process)
    if code != 1 or not one_line(errors.replace(" inputs failed", "\nerror: ")) or damaged_files(output):
        findings.append(f"images vanish: code {code}, {errors.strip()[-300:]}")
    n_cases = len(cases) + 1
    result = f"{n_cases - len(findings)}/{n_cases}"
    return Row(
        "disk", "missing, locked or vanished paths", result, "one line, exit 1", not findings, tuple(findings)
    )
