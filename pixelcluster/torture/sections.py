"""The sections by name, each with its full number of trials."""

from __future__ import annotations

from collections.abc import Callable

from pixelcluster.torture.crowds import crowd_section, soak_section
from pixelcluster.torture.disk import disk_section
from pixelcluster.torture.inputs import inputs_section
from pixelcluster.torture.kills import kills_section, signals_section
from pixelcluster.torture.numbers import numbers_section
from pixelcluster.torture.repeat import resume_section, seeds_section
from pixelcluster.torture.rows import Row

SECTIONS: dict[str, tuple[Callable[[int, int], list[Row]], int]] = {
    "inputs": (inputs_section, 700),  # of each kind
    "kills": (kills_section, 40),  # of train; half as many of segment
    "disk": (disk_section, 8),
    "signals": (signals_section, 10),
    "resume": (resume_section, 20),
    "seeds": (seeds_section, 10),
    "nan": (numbers_section, 10),  # in each of five ways
    "soak": (soak_section, 1000),
    "crowd": (crowd_section, 10),  # images of each of eight processes
}
