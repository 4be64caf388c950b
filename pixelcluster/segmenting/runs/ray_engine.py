"""Many images by many processes, on one machine or a cluster: Ray Data over actors that hold the model.

Ray Data starts its actors first; where they take every CPU, nothing is left to feed them and the run hangs
(ray-project/ray issue 44687). One CPU is therefore left free.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.segmenting.method import Method, Segmenter
from pixelcluster.segmenting.runs.batch import run_jobs
from pixelcluster.segmenting.runs.jobs import Job, Outcome, Outputs
from pixelcluster.segmenting.runs.selection import split_finished

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

_CHUNK = 4096
"""Jobs Ray holds at once; it wants them all before it starts."""
_BLOCK = 4
"""Jobs of one task: what the death of a process costs at most."""
_STORE = 256 * 2**20
"""Bytes Ray may share between processes; jobs and results are small."""


class _Worker:
    """What each actor is: a method, ready to segment.

    Args:
        method: how.
        outputs: which files are wanted.
    """

    def __init__(self, method: Method, outputs: Outputs) -> None:
        self._segmenter, self._outputs = Segmenter(method), outputs

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """Segment the jobs of a batch."""
        import pyarrow

        jobs = [pickle.loads(job) for job in batch["job"].to_pylist()]
        # No inputs to compare with: `run_stream` has done that.
        outcomes = [pickle.dumps(outcome) for outcome in run_jobs(jobs, (), self._segmenter, self._outputs)]
        return pyarrow.table({"outcome": pyarrow.array(outcomes, pyarrow.binary())})


def run_on_ray(
    jobs: Iterator[Job], method: Method, outputs: Outputs, *, workers: int | None = None
) -> Iterator[Outcome]:
    """Segment and write each image in several processes; a bad one becomes an outcome with an error.

    Args:
        jobs: taken in chunks, as Ray needs them.
        method: how.
        outputs: which files are wanted.
        workers: processes; None: all CPUs but one. On a cluster (RAY_ADDRESS), CPUs of the cluster; with
            device "cuda" each takes a GPU.

    Yields:
        One outcome a job, in the order they end.

    Raises:
        PixelClusterError: Ray is not installed, or cannot start.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise PixelClusterError(
            "--engine ray needs the extra ray; install it with pip install 'pixelcluster[ray]'"
        ) from None
    first = next(jobs, None)
    if first is None:
        return
    Segmenter(method)  # says what is wrong with the method here, not in every actor
    with _running(ray, workers) as count:
        chunk = [first, *islice(jobs, _CHUNK - 1)]
        while chunk:
            yield from _run_chunk(ray, chunk, method, outputs, count)
            chunk = list(islice(jobs, _CHUNK))


@contextmanager
def _running(ray: Any, workers: int | None) -> Iterator[int]:
    """Start or join Ray, and give the number of workers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # outcomes say what went wrong
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    cluster = "RAY_ADDRESS" in os.environ
    count = workers or max(1, (os.cpu_count() or 2) - 1)
    alone = {"num_cpus": count + 1, "include_dashboard": False, "object_store_memory": _STORE}
    options = {"address": "auto"} if cluster else alone
    try:
        ray.init(configure_logging=False, log_to_driver=False, **options)
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PixelClusterError(f"Ray cannot start ({reason}); leave --engine ray out") from error
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)  # Ray has put its own there
        if cluster:
            free = max(1, int(ray.cluster_resources().get("CPU", 2)) - 1)
            count = min(workers or free, free)
        yield count
    finally:
        ray.shutdown()


def _run_chunk(
    ray: Any, chunk: list[Job], method: Method, outputs: Outputs, workers: int
) -> Iterator[Outcome]:
    """Do the jobs of a chunk; those lost with a process are tried once more, each in a task of its own."""
    left = chunk
    for size in (min(_BLOCK, -(-len(chunk) // (4 * workers))), 1):
        waiting = {job.source: job for job in left}
        for outcome in _run_tasks(ray, left, size, method, outputs, workers):
            waiting.pop(outcome.source, None)
            yield outcome
        left = list(waiting.values())
        if not outputs.overwrite:
            left, finished = split_finished(left)  # written before the process died
            yield from finished
        if not left:
            return
    for job in left:
        yield job.failed(
            f"{show_path(job.source)}: the process working on it died twice (out of memory?); try it "
            "alone, or run again with fewer --workers"
        )


def _run_tasks(
    ray: Any, jobs: list[Job], size: int, method: Method, outputs: Outputs, workers: int
) -> Iterator[Outcome]:
    """Do jobs in tasks of `size`; what a process had when it died is missing from what is yielded."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    items = [{"job": pickle.dumps(job)} for job in jobs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of max_task_retries, from Ray 2.60 on
        data = ray.data.from_items(items, override_num_blocks=-(-len(items) // size)).map_batches(
            _Worker,
            fn_constructor_args=(method, outputs),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=min(size, 2)),
            num_cpus=1,
            num_gpus=1 if method.device == "cuda" else None,
            max_restarts=-1,
            max_task_retries=0,  # a file that kills its process would kill the next one too
        )
    try:
        for row in data.iter_rows():
            outcome: Outcome = pickle.loads(row["outcome"])
            yield outcome
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:200]
        raise PixelClusterError(
            f"Ray could not go on ({reason}); the journal says what is done, start again to go on"
        ) from error
