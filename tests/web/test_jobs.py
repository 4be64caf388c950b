"""The queue, without a picture."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pixelcluster.errors import PixelClusterError
from pixelcluster.segmenting.watch import Glimpse, Watch
from pixelcluster.web.jobs import JobQueue, QueueFullError, Work
from tests.web.conftest import Page


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    jobs = JobQueue(waiting=2)
    yield jobs
    jobs.close()


class Gate:
    """A job that goes on when it is told to."""

    def __init__(self) -> None:
        self.started, self.open = threading.Event(), threading.Event()

    def __call__(self, watch: Watch) -> str:
        self.started.set()
        while not self.open.wait(0.005):
            watch(Glimpse("waiting", 0.5))
        return "made"


def ended(queue: JobQueue, job: str) -> dict[str, object]:
    for _ in range(1000):
        state = queue.look(job)
        assert state is not None
        if state["state"] not in ("queued", "running"):
            return state
        time.sleep(0.005)
    raise AssertionError("the job does not end")


def test_one_at_a_time_in_order_and_no_more_than_the_limit(queue: JobQueue) -> None:
    gates = [Gate() for _ in range(3)]
    jobs = []
    for gate in gates:
        jobs.append(queue.submit(gate))
        gates[0].started.wait(5)
    states = [queue.look(job) for job in jobs]
    assert [state and state["state"] for state in states] == ["running", "queued", "queued"]
    assert [state and state["ahead"] for state in states] == [0, 1, 2]
    with pytest.raises(QueueFullError, match="2 jobs are waiting"):
        queue.submit(Gate())
    assert not gates[1].started.is_set()
    gates[0].open.set()
    assert ended(queue, jobs[0])["result"] == "made"
    assert gates[1].started.wait(5)
    assert not gates[2].started.is_set()
    for gate in gates[1:]:
        gate.open.set()
    assert ended(queue, jobs[2])["state"] == "done"


def test_cancelling_a_waiting_and_a_running_job(queue: JobQueue) -> None:
    running, waiting = Gate(), Gate()
    first, second = queue.submit(running), queue.submit(waiting)
    running.started.wait(5)
    assert queue.cancel(second)
    assert ended(queue, second)["state"] == "cancelled"
    assert queue.cancel(first)
    assert ended(queue, first)["state"] == "cancelled"
    assert not waiting.started.is_set()
    assert not queue.cancel("x")
    assert queue.look("x") is None


def test_frames_are_numbered_and_labels_fit_16_bits(queue: JobQueue) -> None:
    def work(watch: Watch) -> str:
        watch(Glimpse("a", 0.1))
        watch(Glimpse("b", 0.2, np.array([[0, 700]]), 1.5))
        watch(Glimpse("c", 0.3, np.zeros((1000, 1000), np.int32)))  # too large to send
        watch(Glimpse("d", 0.4, np.array([[1], [1]])))
        return "made"

    job = queue.submit(work)
    frames = ended(queue, job)["frames"]
    assert isinstance(frames, list)
    assert [(f["number"], f["stage"], f["height"], f["width"], f["clusters"]) for f in frames] == [
        (0, "b", 1, 2, 2), (1, "d", 2, 1, 1),
    ]  # fmt: skip
    assert frames[0]["labels"] == "AAC8Ag=="  # 0 and 700, little-endian
    state = queue.look(job, after=1)
    assert state is not None
    assert [frame["number"] for frame in state["frames"]] == [1]


def fail(error: Exception) -> Work:
    def work(watch: Watch) -> str:
        raise error

    return work


def test_failures_are_one_line_and_the_next_job_runs(
    queue: JobQueue, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, message in (
        (PixelClusterError("too red"), "too red"),
        (MemoryError(), "not enough memory; use a smaller image"),
        (ZeroDivisionError("inner details"), "unexpected ZeroDivisionError; see the terminal"),
    ):
        state = ended(queue, queue.submit(fail(error)))
        assert (state["state"], state["error"]) == ("failed", message)
    assert "inner details" in capsys.readouterr().err
    assert ended(queue, queue.submit(lambda watch: "made"))["state"] == "done"


def test_what_is_done_holds_no_picture(queue: JobQueue) -> None:
    class Holder:
        def __call__(self, watch: Watch) -> str:
            return "made"

    holder = Holder()
    gone = weakref.ref(holder)
    job = queue.submit(holder)
    del holder
    ended(queue, job)
    assert gone() is None


def test_old_jobs_are_forgotten(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelcluster.web.jobs._ENDED", 3)
    jobs = [queue.submit(lambda watch: "made") for _ in range(1)]
    for _ in range(6):
        ended(queue, jobs[-1])
        jobs.append(queue.submit(lambda watch: "made"))
    assert [queue.look(job) is None for job in jobs] == [True] * 3 + [False] * 4


def test_the_page_tells_of_the_queue(
    serve: Callable[..., Page], monkeypatch: pytest.MonkeyPatch, quadrants: np.ndarray
) -> None:
    page = serve(waiting=1)
    gate = Gate()
    monkeypatch.setattr("pixelcluster.web.runner.segment", lambda *_, watch, **__: gate(watch))
    picture = page.open(quadrants)
    running = page.start(picture, k=4)
    assert gate.started.wait(5)
    waiting = page.start(picture, k=4)
    assert page.client.get(waiting).json()["ahead"] == 1
    page.error(page.client.post(f"{picture}/runs", json={"k": 4}), 429, "1 jobs are waiting")
    for job in (waiting, running):
        assert page.client.delete(job).status_code == 200
        assert page.wait(job)["state"] == "cancelled"
