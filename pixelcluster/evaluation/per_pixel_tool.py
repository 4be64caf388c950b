"""What the tools of the per-pixel benchmarks share: their options, and the run behind them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from pixelcluster.cli.progress import live_line
from pixelcluster.config import RunConfig
from pixelcluster.config_file import load_config
from pixelcluster.data.labelled import LabelledImage, LabelledSet
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.options import whole_numbers
from pixelcluster.evaluation.per_pixel import Evaluation, evaluate, select
from pixelcluster.io.label_map import encode_label_map, label_format
from pixelcluster.io.model_files import PIXELS
from pixelcluster.io.write import atomic_write, check_writable, make_folder
from pixelcluster.render.palette import categorical

Command = TypeVar("Command", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--root", type=_PATH, required=True, help="Folder of the data set."),
    click.option("--config", "config_file", type=_PATH, help="Settings; see configs/."),
    click.option("--stack", help="Target stack instead of the configuration's."),
    click.option("--seeds", default="0,1,2", help="Comma-separated; one fit each."),
    click.option("--model", type=_PATH, help="Score this trained model instead of fitting."),
    click.option("--image-list", type=_PATH, help="Stems, one a line, plain or gzip."),
    click.option(
        "--part",
        type=click.Choice(["all", "even", "odd"]),
        default="all",
        help="Every second image only (COCO-Stuff settings were tuned on even).",
    ),
    click.option("--json", "json_file", type=_PATH, help="Write the result here."),
    click.option("--maps", type=_PATH, help="Write the last seed's label maps into this folder."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto"),
)


def shared_options(command: Command) -> Command:
    """Give a click command the options of `run`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run(
    open_set: Callable[[Path, Path | None], LabelledSet], facts: Mapping[str, object], **options: Any
) -> None:
    """Evaluate every seed, write what was asked for and print the table; a problem is one line and exit 1.

    Args:
        open_set: from the folder and the image list to the data set.
        facts: what the JSON says of the protocol besides.
        options: those of `shared_options`.
    """
    try:
        _run(open_set, facts, **options)
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _run(
    open_set: Callable[[Path, Path | None], LabelledSet],
    facts: Mapping[str, object],
    *,
    root: Path,
    config_file: Path | None,
    stack: str | None,
    seeds: str,
    model: Path | None,
    image_list: Path | None,
    part: str,
    json_file: Path | None,
    maps: Path | None,
    device: str,
) -> None:
    numbers = whole_numbers(seeds)
    if json_file is not None:  # before the minutes of fitting
        check_writable(json_file, overwrite=True)
    config = _settings(config_file, stack, model)
    dataset = open_set(root, image_list)
    items = select(dataset, part)
    n_classes = len(dataset.class_names)
    with live_line() as show:
        found = evaluate(
            items,
            config,
            n_classes=n_classes,
            seeds=numbers,
            device=device,
            model=model,
            progress=show,
            report=lambda line: click.echo(line, err=True),
        )
    result = {
        **found.result,
        "classes": n_classes,
        "class_names": dataset.class_names,
        "part": part,
        "data": dataset.notes,
        **facts,
    }
    if json_file is not None:
        with atomic_write(json_file, overwrite=True) as temporary:
            temporary.write_text(json.dumps(result, indent=2), encoding="utf-8")
    if maps is not None:
        _write_maps(maps, items, found.maps)
    click.echo(_table(found))


def _settings(config_file: Path | None, stack: str | None, model: Path | None) -> RunConfig:
    """Return the settings of a file, of a model or the defaults, with another stack if asked for."""
    if model is not None:
        if config_file is not None or stack is not None:
            raise PixelClusterError("--model fixes the settings; drop --config and --stack")
        config_file = model / PIXELS
    config = RunConfig() if config_file is None else load_config(config_file)
    if stack is None:
        return config
    targets = config.targets.model_copy(update={"stack": stack, "options": {}})
    return config.model_copy(update={"targets": targets})


def _write_maps(folder: Path, items: Sequence[LabelledImage], maps: Sequence[NDArray[np.int32]]) -> None:
    """Write one indexed PNG an item."""
    make_folder(folder)
    palette = categorical(1 + max(int(label_map.max()) for label_map in maps))
    for item, label_map in zip(items, maps, strict=True):
        target = folder / f"{item.stem}.png"
        with atomic_write(target, overwrite=True) as temporary:
            encode_label_map(temporary, label_map, palette, label_format(target))


def _table(found: Evaluation) -> str:
    """Return the Markdown table of a run."""
    result, base = found.result, found.kmeans_rgb
    seconds = np.mean(np.array(result["seconds_per_seed"], dtype=float))
    return "\n".join(
        (
            "| method | ACC | mIoU | NMI | s a seed |",
            "|---|---|---|---|---|",
            f"| largest class | {result['majority_acc']:.1f} | - | - | - |",
            f"| K-means on pixels | {base['acc']:.1f} | {base['miou']:.1f} | {base['nmi']:.3f} | - |",
            f"| clustered generator, {result['stack']} | {result['acc']:.1f} +- {result['acc_std']:.1f} | "
            f"{result['miou']:.1f} | {result['nmi']:.3f} | {seconds:.0f} |",
        )
    )
