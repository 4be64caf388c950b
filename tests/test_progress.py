from __future__ import annotations

import pytest

from pixelcluster import clock
from pixelcluster.progress import Pace


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock says: the one entry of a list."""
    seconds = [100.0]
    monkeypatch.setattr(clock, "_clock", lambda: seconds[0])
    return seconds


def test_speed_and_time_left_count_from_the_first_step_seen(at: list[float]) -> None:
    pace = Pace(50)
    assert pace.facts(30) == {}  # a run that goes on: the steps before it took other time
    at[0] += 2
    assert pace.facts(34) == {"steps_per_second": 2.0, "seconds_left": 8.0, "left_of": ""}
    at[0] += 8
    assert pace.facts(50) == {"steps_per_second": 2.0, "seconds_left": 0.0, "left_of": ""}


def test_a_limit_ends_the_last_phase_early(at: list[float]) -> None:
    pace = Pace(1000, until=103.0)
    assert pace.facts(0) == {"seconds_left": 3.0, "left_of": ""}
    at[0] += 1
    assert pace.facts(10)["seconds_left"] == 2.0
    assert pace.facts(990)["seconds_left"] == pytest.approx(10 / 990)
    at[0] += 5
    assert pace.facts(990)["seconds_left"] == 0.0


def test_where_other_work_follows_the_part_is_named_or_the_limit_told(at: list[float]) -> None:
    limited, free = Pace(10, until=160.0, part="the starts"), Pace(10, part="the starts")
    assert limited.facts(0) == {"seconds_left": 60.0, "left_of": ""}
    assert free.facts(0) == {}
    at[0] += 4
    assert limited.facts(2) == {"steps_per_second": 0.5, "seconds_left": 16.0, "left_of": "the starts"}
    assert Pace(10, until=at[0] + 9, part="the starts").facts(2) == {"seconds_left": 9.0, "left_of": ""}
    assert free.facts(8) == {"steps_per_second": 2.0, "seconds_left": 1.0, "left_of": "the starts"}
