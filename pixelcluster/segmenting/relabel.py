"""Changing what a fitted model calls its clusters: names and merges, kept in its config.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelcluster.config import ClusterSettings, RunConfig
from pixelcluster.config_file import dump_config, load_config, parse_config
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.metrics_file import read_metrics
from pixelcluster.io.model_files import PIXELS, refuse_other_kind
from pixelcluster.io.write import atomic_write


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
    config = read_settings(folder)
    _check_ids(ids, config, folder)
    return _save(folder, config, with_merged(config.clusters, ids, model=show_path(folder)))


def split_clusters(folder: Path) -> dict[int, int]:
    """Take all merges of a model back; names stay where they are.

    Args:
        folder: a model folder.

    Returns:
        What was merged: id -> the id that took its pixels.

    Raises:
        PixelClusterError: no model folder, or nothing is merged.
    """
    config = read_settings(folder)
    if not config.clusters.merged:
        raise PixelClusterError(f"{show_path(folder)}: no clusters are merged; there is nothing to undo")
    _save(folder, config, ClusterSettings(names=config.clusters.names))
    return config.clusters.merged


def training_shares(folder: Path, config: RunConfig) -> list[float]:
    """Return the share of the training images that each cluster had in the last epoch.

    Args:
        folder: a model folder.
        config: its settings; those that take others' pixels have their shares too.

    Returns:
        K shares from 0 to 1, 0 for clusters merged away; none where metrics.jsonl does not know them: it is
        missing, or clusters were pruned after the last epoch.

    Raises:
        PixelClusterError: metrics.jsonl is damaged.
    """
    told = [entry["shares"] for entry in read_metrics(folder) if "shares" in entry]
    last = told[-1] if told else None
    if not isinstance(last, list) or len(last) != config.n_clusters:
        return []
    if not all(isinstance(share, float | int) for share in last):
        return []
    shares = [float(share) for share in last]
    for source, taker in config.clusters.merged.items():
        shares[taker] += shares[source]
        shares[source] = 0.0
    return shares


def with_merged(settings: ClusterSettings, ids: Sequence[int], model: str = "") -> ClusterSettings:
    """Return settings in which several clusters are one; see `merge_clusters`.

    Args:
        settings: names and merges so far.
        ids: at least two existing clusters.
        model: what `pixelcluster name` calls the model, for the message; "" where there is none.

    Raises:
        PixelClusterError: fewer than two clusters, or two of different names.
    """
    group = sorted({settings.merged.get(i, i) for i in ids})
    if len(group) < 2:
        raise PixelClusterError(f"{_listed(ids)}: one cluster already; name at least two to merge")
    target, rest = group[0], group[1:]
    named = [i for i in group if i in settings.names]
    if len(named) > 1:
        both = " and ".join(repr(settings.names[i]) for i in named[:2])
        way = f" (pixelcluster name {model} {named[1]}=)" if model else ""
        raise PixelClusterError(
            f"clusters {named[0]} and {named[1]} are named {both}; clear one name first{way}"
        )
    merged = {source: target if taker in rest else taker for source, taker in settings.merged.items()}
    merged |= dict.fromkeys(rest, target)
    names = {target if i in named else i: name for i, name in settings.names.items()}
    return ClusterSettings(names=names, merged=dict(sorted(merged.items())))


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
    config = read_settings(folder)
    _check_ids([*names], config, folder)
    return _save(folder, config, with_names(config, names, show_path(folder)).clusters)


def with_names(config: RunConfig, names: Mapping[int, str], origin: str) -> RunConfig:
    """Return settings in which clusters have names; see `name_clusters`.

    Args:
        config: settings so far.
        names: id -> name; "" takes a name away.
        origin: where the settings are, for the message.

    Raises:
        PixelClusterError: a merged or missing cluster, or a name that is taken, too long or not printable.
    """
    for i in names:
        if i in config.clusters.merged:
            raise PixelClusterError(
                f"cluster {i} was merged into {config.clusters.merged[i]}; name that one instead"
            )
    kept = {i: name for i, name in config.clusters.names.items() if i not in names}
    added = {i: name for i, name in names.items() if name}
    values = {"names": dict(sorted((kept | added).items())), "merged": config.clusters.merged}
    return parse_config(config.model_dump() | {"clusters": values}, origin)


def read_settings(folder: Path) -> RunConfig:
    """Return the settings of a model folder.

    Raises:
        PixelClusterError: no model folder.
    """
    refuse_other_kind(folder, PIXELS)
    path = folder / PIXELS
    if not path.is_file() or not any(folder.glob("*.safetensors")):
        raise PixelClusterError(
            f"{show_path(folder)}: is no model folder ({PIXELS} and weights are wanted); train one first"
        )
    return load_config(path)


def _save(folder: Path, config: RunConfig, clusters: ClusterSettings) -> RunConfig:
    changed = config.model_copy(update={"clusters": clusters})
    with atomic_write(folder / PIXELS, overwrite=True) as temporary:
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


def current_ids(labels: NDArray[np.int32], merged: Mapping[int, int]) -> NDArray[np.int32]:
    """Return labels of any shape with ids that were merged away replaced by those that took their pixels."""
    for source, target in merged.items():
        labels = np.where(labels == source, np.int32(target), labels)
    return labels
