"""One job at a time: a bounded queue, one worker thread, and what a waiting or running job looks like."""

from __future__ import annotations

import base64
import secrets
import sys
import threading
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np

from pixelcluster.errors import PixelClusterError
from pixelcluster.segmenting.watch import Glimpse, Watch

State = Literal["queued", "running", "done", "failed", "cancelled"]
Work = Callable[[Watch], str]
"""Does the job, shows itself now and then, and returns the id of its result."""

_FRAMES = 96
"""Kept of a job; older ones are of no use to a page that shows the newest."""
_LARGEST_FRAME = 500_000  # cells
_ENDED = 32
"""Jobs that are remembered after their end."""


class QueueFullError(PixelClusterError):
    """No more jobs are taken for now."""


class Cancelled(Exception):
    """Ends a run from inside its progress."""


@dataclass
class Job:
    """A job and what is known of it; changed under the queue's lock alone."""

    work: Work | None
    """None once it is done: it holds the picture."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "queued"
    stage: str = ""
    share: float = 0.0
    result: str | None = None
    error: str | None = None
    n_frames: int = 0
    frames: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_FRAMES))
    stop: bool = False


class JobQueue:
    """Runs jobs in order of arrival on one thread.

    Args:
        waiting: how many may wait behind the one that runs.
    """

    def __init__(self, waiting: int) -> None:
        self._waiting_limit = waiting
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._running: Job | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="pixelcluster-jobs", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> str:
        """Put a job at the end of the queue and return its id.

        Raises:
            QueueFullError: too many wait already.
        """
        with self._changed:
            if len(self._waiting) >= self._waiting_limit:
                raise QueueFullError(
                    f"{len(self._waiting)} jobs are waiting already; try again when one has ended, "
                    "or cancel one"
                )
            job = Job(work)
            self._waiting.append(job)
            self._jobs[job.id] = job
            for old in [i for i, other in self._jobs.items() if _ended(other)][:-_ENDED]:
                del self._jobs[old]
            self._changed.notify()
            return job.id

    def look(self, job_id: str, after: int = 0) -> dict[str, Any] | None:
        """Describe a job, with its frames from number `after` on; None: no such job."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None:
                return None
            ahead = self._waiting.index(job) + (self._running is not None) if job in self._waiting else 0
            return {
                "id": job.id,
                "state": job.state,
                "ahead": ahead,
                "stage": job.stage,
                "share": job.share,
                "frames": [frame for frame in job.frames if frame["number"] >= after],
                "result": job.result,
                "error": job.error,
            }

    def cancel(self, job_id: str) -> bool:
        """Take a job out of the queue, or end it at its next sign of progress; False: no such job."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None:
                return False
            job.stop = True
            if job in self._waiting:
                self._waiting.remove(job)
                job.state, job.work = "cancelled", None
            return True

    def close(self, timeout: float = 5.0) -> None:
        """End everything, and wait a little for the job that runs."""
        with self._changed:
            self._closed = True
            for job in self._jobs.values():
                job.stop = True
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    return
                job = self._running = self._waiting.popleft()
                job.state = "running"
            end = self._end_of(job)
            with self._changed:
                self._running, job.work = None, None
                for name, value in end.items():
                    setattr(job, name, value)

    def _end_of(self, job: Job) -> dict[str, Any]:
        """Do a job and return what is then known of it."""
        assert job.work is not None
        try:
            return {"result": job.work(partial(self._see, job)), "state": "done"}
        except Cancelled:
            return {"state": "cancelled"}
        except PixelClusterError as error:
            return {"state": "failed", "error": str(error)}
        except MemoryError:
            return {"state": "failed", "error": "not enough memory; use a smaller image"}
        except Exception as error:  # the next job must still run, whatever is wrong with this one
            traceback.print_exc(file=sys.stderr)
            return {"state": "failed", "error": f"unexpected {type(error).__name__}; see the terminal"}

    def _see(self, job: Job, glimpse: Glimpse) -> None:
        frame = _frame(glimpse, job.n_frames)
        with self._changed:
            if job.stop:
                raise Cancelled
            job.stage, job.share = glimpse.stage, glimpse.share
            if frame is not None:
                job.frames.append(frame)
                job.n_frames += 1


def _ended(job: Job) -> bool:
    return job.state in ("done", "failed", "cancelled")


def _frame(glimpse: Glimpse, number: int) -> dict[str, Any] | None:
    """What the page draws of a glimpse: labels as 16-bit little-endian in base64."""
    if glimpse.label_map is None or glimpse.label_map.size > _LARGEST_FRAME:
        return None
    labels = np.ascontiguousarray(glimpse.label_map, dtype="<u2")
    return {
        "number": number,
        "stage": glimpse.stage,
        "share": glimpse.share,
        "height": labels.shape[0],
        "width": labels.shape[1],
        "clusters": len(np.unique(labels)),
        "objective": glimpse.objective,
        "labels": base64.b64encode(labels.tobytes()).decode("ascii"),
    }
