"""YAML files of settings: small, without aliases, and with the lines of their values."""

from __future__ import annotations

from pathlib import Path

import yaml

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import file_size

_LARGEST_FILE = 1_000_000
_MOST_BRACKETS = 1_000
"""PyYAML's time grows with the square of the nesting: 20 kB of "[" took it 40 seconds."""


def read_yaml(path: str | Path) -> tuple[object, yaml.Node | None]:
    """Return the values of a YAML file of settings and their nodes, which know their lines.

    Raises:
        PixelClusterError: missing file, not YAML, aliases, or more than settings can be.
    """
    name = show_path(path)
    size = file_size(Path(path))
    try:
        if size > _LARGEST_FILE:
            raise ValueError(f"{size} bytes, at most {_LARGEST_FILE} are wanted")
        content = Path(path).read_bytes()
        if content.count(b"[") + content.count(b"{") > _MOST_BRACKETS:
            raise ValueError(f"more than {_MOST_BRACKETS} opening brackets")
        text = content.decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ValueError("aliases such as *name are not allowed")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text) or {}
    except OSError as error:
        raise PixelClusterError(f"{name}: {error.strerror}; wanted a YAML file of settings") from error
    # PyYAML lets errors of its number and date constructors through, and its recursion can run out.
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problem = " ".join(str(error).split())[:300]
        raise PixelClusterError(f"{name}: is not YAML ({problem}); see configs/ for examples") from error
    return values, tree
