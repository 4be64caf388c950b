"""Files appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pixelcluster.errors import PixelClusterError, show_path


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file through a hidden temporary beside it.

        with atomic_write("model.safetensors") as temporary:
            save_file(tensors, temporary)

    When the block ends, the temporary gets the mode a plain `open` would have given, is flushed to disk and
    takes the final name; when the block raises, it is removed and the final name is untouched.

    Args:
        path: the final name; its folder must exist.
        overwrite: replace an existing file instead of refusing.

    Yields:
        The temporary's path, an existing empty file in the same folder. Writers that replace it are fine.

    Raises:
        PixelClusterError: the file exists, or the folder is missing, read-only or full.
    """
    with atomic_set([Path(path)], overwrite=overwrite) as (temporary,):
        yield temporary


@contextmanager
def atomic_set(paths: Sequence[Path], *, overwrite: bool = False) -> Iterator[list[Path]]:
    """Write files that belong together: all of them change, or none; see `atomic_write`.

    A process killed among the renames, or a rename that fails, leaves a set that lacks files, old or new, but
    never new files beside old ones.

    Args:
        paths: the final names; their folders must exist.
        overwrite: replace existing files instead of refusing.

    Yields:
        The temporaries' paths, in order.

    Raises:
        PixelClusterError: a file exists, or a folder is missing, read-only or full.
    """
    with ExitStack() as stack:  # closes the other way round: the first file gets its name last
        new = [stack.enter_context(_renamed_at_the_end(path, overwrite)) for path in paths]
        yield [temporary for temporary, _ in new]
        for path, (temporary, mode) in zip(paths, new, strict=True):
            with _explained(path):
                os.chmod(temporary, mode)
                flush(temporary)  # a full disk shows here, while the old set is whole
        for path in paths:
            check_writable(path, overwrite=overwrite)
        if overwrite and len(paths) > 1:
            for path in reversed(paths):
                with _explained(path):
                    path.unlink(missing_ok=True)


@contextmanager
def _renamed_at_the_end(target: Path, overwrite: bool) -> Iterator[tuple[Path, int]]:
    """Give the path of a temporary and the mode it shall have; it is renamed, or removed after an error."""
    check_writable(target, overwrite=overwrite)
    # Not named after the target: a name of the longest allowed length must still have a temporary.
    temporary = target.parent / f".pixelcluster-{secrets.token_hex(6)}.tmp"
    with _explained(target):
        # os.open, not mkstemp: the kernel then applies the umask, which cannot be read without a race.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        os.close(handle)
        try:
            yield temporary, mode
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if os.name != "nt":  # Windows cannot open folders
            _fsync(target.parent, os.O_RDONLY)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Say what the system refuses in one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise PixelClusterError(
            f"{show_path(target)}: cannot be written ({reason}); choose another folder with -o or free this "
            "one"
        ) from None


def check_writable(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Say early, before any work, that a file cannot be written.

    Args:
        path: the file about to be written.
        overwrite: whether an existing file may be replaced.

    Raises:
        PixelClusterError: its folder is missing, or is a file; or the path is a folder, or exists and must
            stay.
    """
    target = Path(path)
    if not os.path.isdir(target.parent):
        raise PixelClusterError(
            f"{show_path(target.parent)}: no such folder; create it (mkdir -p) or choose another"
        )
    if os.path.isdir(target):
        raise PixelClusterError(
            f"{show_path(target)}: is a folder, but a file is to be written; choose another name"
        )
    if os.path.lexists(target) and not overwrite:
        raise PixelClusterError(
            f"{show_path(target)}: exists already; allow replacing it (--overwrite, or overwrite=True)"
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PixelClusterError(f"{show_path(target.parent)}: folder is not writable; choose another with -o")


def remove_temporaries(folder: Path) -> None:
    """Delete the temporaries that killed processes left in a folder nobody else writes to."""
    for path in folder.glob(".pixelcluster-*.tmp"):
        path.unlink(missing_ok=True)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder and its parents where missing.

    Args:
        path: the folder.

    Returns:
        The folder.

    Raises:
        PixelClusterError: it cannot be created, or a file is in its place.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (
            "a file is in its place"
            if isinstance(error, (FileExistsError, NotADirectoryError))
            else error.strerror
        )
        raise PixelClusterError(
            f"{show_path(folder)}: folder cannot be created ({reason}); choose another"
        ) from None
    return folder


def flush(path: Path) -> None:
    """Wait until a file's data are on the disk.

    Raises:
        OSError: the disk is full, or broken.
    """
    _fsync(path, os.O_RDWR)


def _fsync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
