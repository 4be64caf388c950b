"""Settings from files and mappings, and back; what is wrong is named by its key, line and nearest name."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pixelcluster.config import RunConfig
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.settings_yaml import read_yaml

Settings = TypeVar("Settings", bound=BaseModel)

_REMOVED = {("student", "rounds"): 1, ("training", "beta1"): 0.5}
"""Keys that settings had once, by section and name, and the only value there is now: settings of older models
hold them."""


def load_settings(kind: type[Settings], path: str | Path) -> Settings:
    """Read a YAML file of settings.

    Args:
        kind: the model of the settings.
        path: a mapping of its fields; what the file leaves out keeps its default.

    Raises:
        PixelClusterError: missing file, not YAML; an unknown key, with its nearest name, or a wrong value,
            with their line.
    """
    values, tree = read_yaml(path)
    return parse_settings(kind, values, show_path(path), tree)


def load_config(path: str | Path) -> RunConfig:
    """Read the settings of a run, see `load_settings`."""
    return load_settings(RunConfig, path)


def parse_settings(
    kind: type[Settings], values: object, origin: str = "settings", tree: yaml.Node | None = None
) -> Settings:
    """Check a mapping of settings.

    Args:
        kind: the model of the settings.
        values: nested mapping as read from YAML.
        origin: where it came from, for the message.
        tree: the same as YAML nodes, for the line in the message.

    Raises:
        PixelClusterError: as `load_settings`.
    """
    try:
        return kind.model_validate(_without_removed(values))
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        place = _place(values, first["loc"])
        where = ".".join(map(str, place))[:80] or "the whole"
        if tree is not None:
            origin = f"{origin}, line {_line(tree, place)}"
        if first["type"] == "extra_forbidden":
            raise PixelClusterError(
                f"{origin}: unknown key {where}; {_nearest(kind, first['loc'])}"
            ) from error
        if first["type"] == "value_error":  # of a whole section: the message says what was given
            reason = first["msg"].removeprefix("Value error, ")
            raise PixelClusterError(f"{origin}: {where}: {reason}") from error
        given = reprlib.repr(first["input"])
        same = [first["msg"], *(e["msg"] for e in others if _place(values, e["loc"]) == place)]
        wanted = " or ".join(msg.removeprefix("Input should be ").partition(", unable")[0] for msg in same)
        raise PixelClusterError(f"{origin}: {where} is {given}; wanted {wanted}") from error


def parse_config(values: object, origin: str = "settings") -> RunConfig:
    """Check a mapping of the settings of a run, see `parse_settings`."""
    return parse_settings(RunConfig, values, origin)


def dump_config(config: RunConfig) -> str:
    """Return the settings as YAML that `load_config` reads back."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return text


def _without_removed(values: Any) -> Any:
    """Return values read from YAML without the keys of `_REMOVED`, where they ask for nothing else."""
    for (section, key), value in _REMOVED.items():
        own = values.get(section) if isinstance(values, Mapping) else None
        if isinstance(own, Mapping) and own.get(key) == value:
            values = {**values, section: {name: own[name] for name in own if name != key}}
    return values


def _place(values: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the part of an error's location that is in the settings: pydantic adds branches of unions."""
    for n, part in enumerate(location):
        try:
            values = values[part]
        except (TypeError, LookupError):
            return location[:n]
    return location


def _line(tree: yaml.Node, location: tuple[int | str, ...]) -> int:
    """Return the line, from 1, of what is at a location, or of the innermost mapping around it."""
    line = tree.start_mark.line
    for part in location:
        if isinstance(tree, yaml.SequenceNode) and isinstance(part, int) and part < len(tree.value):
            tree = tree.value[part]
        elif isinstance(tree, yaml.MappingNode):
            found = [pair for pair in tree.value if pair[0].value == str(part)]
            if not found:
                break
            line, tree = found[0][0].start_mark.line, found[0][1]
    return line + 1


def _nearest(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Return a hint for an unknown key at a location."""
    section = kind
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    names = list(section.model_fields)
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"did you mean {close[0]}?" if close else f"wanted one of {', '.join(names)}"
