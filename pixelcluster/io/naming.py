"""Where the outputs of each input go, so that no two meet."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixelcluster.errors import PixelClusterError, show_path


@dataclass(frozen=True)
class Place:
    """The outputs of one input: each name is folder, stem, and a role such as ``_labels.png``."""

    source: Path
    folder: Path
    stem: str

    def file(self, role: str) -> Path:
        """The output for a role, for example ``_overlay.png``."""
        return self.folder / f"{self.stem}{role}"


def plan_places(groups: Sequence[tuple[Path, Sequence[Path]]], output: Path | None) -> list[Place]:
    """Give each input a folder and a stem that no other input has.

    Without `output`, files go next to their inputs. With it they go into that folder, which repeats the
    structure of a folder given as input. Inputs whose stems meet keep their suffix (``x.png``, ``x.jpg``
    become ``x_png``, ``x_jpg``) and, where that is not enough, a number in the order given (``x-1``,
    ``x-2``). Case is ignored, as some file systems do.

    Args:
        groups: (what the user named, the files found there); for a file, itself.
        output: a folder, existing or not.

    Returns:
        One place for each file, in order.
    """
    files = [(root, file) for root, found in groups for file in found]
    folders = [_folder(root, file, output) for root, file in files]
    stems = [file.stem for _, file in files]
    with_suffix = [f"{file.stem}_{file.suffix[1:]}" if file.suffix else file.stem for _, file in files]
    stems = _replace_clashes(folders, stems, with_suffix)
    taken = Counter(_key(*place) for place in zip(folders, stems, strict=True))
    seen: Counter[str] = Counter()
    for i, (folder, stem) in enumerate(zip(folders, stems, strict=True)):
        key = _key(folder, stem)
        if taken[key] == 1:
            continue
        while True:
            seen[key] += 1
            numbered = f"{stem}-{seen[key]}"
            if _key(folder, numbered) not in taken:
                break
        stems[i] = numbered
    return [Place(file, folder, stem) for (_, file), folder, stem in zip(files, folders, stems, strict=True)]


def real_paths(paths: Iterable[Path]) -> frozenset[str]:
    """Resolve the files being read, once a run; see `refuse_replacing_inputs`."""
    return frozenset(os.path.realpath(path) for path in paths)


def refuse_replacing_inputs(outputs: Iterable[Path], sources: Container[str]) -> None:
    """An output may replace an older output, never a picture that is being read.

    Args:
        outputs: files about to be written.
        sources: `real_paths` of the files being read.

    Raises:
        PixelClusterError: an output is one of them.
    """
    for path in outputs:
        if os.path.realpath(path) in sources:
            raise PixelClusterError(
                f"{show_path(path)}: is an input and would be replaced; choose another name with -o"
            )


def _folder(root: Path, file: Path, output: Path | None) -> Path:
    if output is None:
        return file.parent
    return output / file.parent.relative_to(root) if file != root else output


def _replace_clashes(folders: Sequence[Path], stems: Sequence[str], longer: Sequence[str]) -> list[str]:
    count = Counter(_key(*place) for place in zip(folders, stems, strict=True))
    return [
        long if count[_key(folder, stem)] > 1 else stem
        for folder, stem, long in zip(folders, stems, longer, strict=True)
    ]


def _key(folder: Path, stem: str) -> str:
    return os.path.realpath(folder / stem).lower()
