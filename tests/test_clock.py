import math
import time

import pytest

from pixelcluster import clock


def test_follows_the_wall():
    start = clock.now()
    time.sleep(0.05)
    assert clock.now() - start >= 0.05


def test_counts_computation_alone_inside_the_context():
    with clock.counting_cpu():
        start = clock.now()
        time.sleep(0.2)
        assert clock.now() - start < 0.1
        ends = time.process_time() + 0.05
        while time.process_time() < ends:
            pass
        assert clock.now() - start >= 0.05


def test_goes_back_to_the_wall_after_an_error():
    with pytest.raises(KeyError), clock.counting_cpu():
        raise KeyError
    start = clock.now()
    time.sleep(0.05)
    assert clock.now() - start >= 0.05


def test_a_deadline_goes_through_a_checkpoint():
    assert clock.in_seconds(clock.seconds_left(math.inf)) == math.inf
    deadline = clock.now() + 50
    assert clock.in_seconds(clock.seconds_left(deadline)) == pytest.approx(deadline, abs=0.5)
