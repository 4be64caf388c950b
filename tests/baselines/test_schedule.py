from __future__ import annotations

import math

import pytest

from pixelcluster import clock
from pixelcluster.baselines.schedule import Schedule, cosine, late_cosine


@pytest.fixture
def time_is(monkeypatch):
    """Set the clock by hand."""

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: seconds)

    set_clock(100.0)
    return set_clock


def test_steps_alone_count_where_the_clock_is_not_well_ahead(time_is):
    schedule = Schedule(10, 200.0)
    schedule.taken = 5
    for seconds in (101, 150, 154):
        time_is(seconds)
        assert schedule.share == 0.5
    assert Schedule(10, math.inf).share == 0


def test_the_clock_counts_where_it_comes_first(time_is):
    schedule = Schedule(1000, 200.0)
    schedule.taken = 5
    time_is(150)
    assert schedule.share == 0.5
    time_is(250)
    assert schedule.share == 1


def test_one_step_is_taken_at_the_full_rate_even_without_time(time_is):
    schedule = Schedule(1000, 90.0)
    assert late_cosine(schedule.share) == 1
    schedule.taken = 1
    time_is(100.01)
    assert schedule.share == 1


def test_rates_fall_from_one_to_zero():
    for fall in (cosine, late_cosine):
        rates = [fall(share / 10) for share in range(11)]
        assert rates == sorted(rates, reverse=True)
        assert rates[0] == 1
        assert rates[10] == pytest.approx(0)
    assert cosine(0.5) == pytest.approx(0.5)
    assert late_cosine(0.79) == 1
    assert late_cosine(0.9) == pytest.approx(0.5)
