"""Changing what a fitted model calls its clusters: names and merges, kept in its config.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelcluster.config import ClusterSettings, RunConfig, dump_config, load_config, parse_config
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.write import atomic_write

_CONFIG = "config.yaml"


def merge_clusters(folder: Path, ids: Sequence[int]) -> RunConfig:
    """Make several clusters of a model one; nothing is fitted again.

    The smallest id takes the others' pixels, as the model then adds their probabilities. All ids keep their
    meaning, so that older label maps stay comparable; those merged away no longer occur.

    Args:
        folder: a model folder.
        ids: at least two of its clusters; one that was merged before stands for the one that took it.

    Returns:
        The new settings, already written.

    Raises:
        PixelClusterError: no model folder, ids it does not have, or two clusters of different names.
    """
    config = _load(folder)
    settings = config.clusters
    _check_ids(ids, config, folder)
    group = sorted({settings.merged.get(i, i) for i in ids})
    if len(group) < 2:
        raise PixelClusterError(f"{_listed(ids)}: one cluster already; name at least two to merge")
    target, rest = group[0], group[1:]
    named = [i for i in group if i in settings.names]
    if len(named) > 1:
        both = " and ".join(repr(settings.names[i]) for i in named[:2])
        raise PixelClusterError(
            f"clusters {named[0]} and {named[1]} are named {both}; clear one name first "
            f"(pixelcluster name {show_path(folder)} {named[1]}=)"
        )
    merged = {source: target if taker in rest else taker for source, taker in settings.merged.items()}
    merged |= dict.fromkeys(rest, target)
    names = {target if i in named else i: name for i, name in settings.names.items()}
    return _save(folder, config, ClusterSettings(names=names, merged=dict(sorted(merged.items()))))


def name_clusters(folder: Path, names: Mapping[int, str]) -> RunConfig:
    """Name clusters of a model.

    Args:
        folder: a model folder.
        names: id -> name; "" takes a name away.

    Returns:
        The new settings, already written.

    Raises:
        PixelClusterError: no model folder, ids it does not have, or a name that is taken, too long or not
            printable.
    """
    config = _load(folder)
    _check_ids([*names], config, folder)
    for i in names:
        if i in config.clusters.merged:
            raise PixelClusterError(
                f"cluster {i} was merged into {config.clusters.merged[i]}; name that one instead"
            )
    kept = {i: name for i, name in config.clusters.names.items() if i not in names}
    added = {i: name for i, name in names.items() if name}
    values = {"names": dict(sorted((kept | added).items())), "merged": config.clusters.merged}
    checked = parse_config(config.model_dump() | {"clusters": values}, show_path(folder))
    return _save(folder, config, checked.clusters)


def _load(folder: Path) -> RunConfig:
    path = folder / _CONFIG
    if not path.is_file() or not any(folder.glob("*.safetensors")):
        raise PixelClusterError(
            f"{show_path(folder)}: is no model folder ({_CONFIG} and weights are wanted); train one first"
        )
    return load_config(path)


def _save(folder: Path, config: RunConfig, clusters: ClusterSettings) -> RunConfig:
    changed = config.model_copy(update={"clusters": clusters})
    with atomic_write(folder / _CONFIG, overwrite=True) as temporary:
        temporary.write_text(dump_config(changed), encoding="utf-8")
    return changed


def _check_ids(ids: Sequence[int], config: RunConfig, folder: Path) -> None:
    for i in ids:
        if config.n_clusters == "auto" or not 0 <= i < config.n_clusters:
            raise PixelClusterError(
                f"{show_path(folder)}: has clusters 0 to {int(config.n_clusters) - 1}, not {i}"
                if config.n_clusters != "auto"
                else f"{show_path(folder)}: holds settings, not a fitted model; train it first"
            )


def _listed(ids: Sequence[int]) -> str:
    return ",".join(map(str, ids))
