"""Which of the planned images this process segments: a share of a job array, and not what is finished."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pixelcluster.segmenting.runs.jobs import Job, Outcome


def take_shard(jobs: Sequence[Job], number: int, count: int) -> list[Job]:
    """Return every `count`-th job in the order of their paths.

    Processes given the same inputs and the numbers 1 to `count` do every job once. Neighbours go to
    different shards, so that folders of large pictures are shared evenly.

    Args:
        jobs: from `plan_jobs`, of all inputs: files are named alike in every shard.
        number: of the shard, 1 .. count.
        count: of shards.
    """
    return sorted(jobs, key=lambda job: os.fspath(job.source))[number - 1 :: count]


def is_finished(job: Job) -> bool:
    """Whether every file of a job exists; see `split_finished`."""
    return all(os.path.isfile(path) for path in job.files.values())


def split_finished(jobs: Sequence[Job]) -> tuple[list[Job], list[Outcome]]:
    """Part the jobs still to do from those of which every file exists.

    An image's files take their names last, when all of them are whole; so a killed run leaves none that is
    half written. What settings made them is not looked at.

    Args:
        jobs: from `plan_jobs`.

    Returns:
        Jobs to do, and an outcome for each finished one, both in order.
    """
    finished = [is_finished(job) for job in jobs]
    todo = [job for job, done in zip(jobs, finished, strict=True) if not done]
    return todo, [
        Outcome(job.source, files=tuple(job.files.values()), skipped=True)
        for job, done in zip(jobs, finished, strict=True)
        if done
    ]
