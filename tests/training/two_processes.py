"""What each of two processes does for `test_distributed.py`; torchrun starts it with a folder to write to."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file

from pixelcluster.config import StudentSettings
from pixelcluster.errors import PixelClusterError
from pixelcluster.resuming.snapshots import read_newest
from pixelcluster.segmenting.train_folder import Training, train_folder
from pixelcluster.stopping import Interrupted
from pixelcluster.torture.repeat import Watched
from pixelcluster.training import distributed
from pixelcluster.training.lessons import Lessons
from pixelcluster.training.run import fit_model
from pixelcluster.training.student import Student
from tests.synthetic import settings, textures

CPU = torch.device("cpu")
STUDENT = {"enabled": True, "pretrained": True, "steps": 4, "views": 2, "batch_size": 3}
RUNS = {
    # 5 images in batches of 2: the last batch has an image for one of the processes alone
    "restarts": settings(training={"restarts": 2, "epochs": 2, "batch_size": 2}),
    "pruning": settings(n_clusters="auto", training={"max_clusters": 6, "epochs": 3, "batch_size": 3}),
    "student": settings(student=STUDENT, training={"epochs": 1, "batch_size": 2}),
}
STOP_AT = 4


def fit(name: str, snapshots: Watched | None = None):
    return fit_model(textures(5, side=40)[0], RUNS[name], seed=3, device=CPU, snapshots=snapshots)


def learned_encoder() -> dict[str, torch.Tensor]:
    """Return a student whose encoder learns too, on labels that are the same in any number of processes."""
    images, labels = textures(3, side=40)
    chosen = StudentSettings(**{**STUDENT, "pretrained": False})
    student = Student(3, chosen)
    targets = [np.eye(3, dtype=np.float32)[label] for label in labels]
    Lessons(student, chosen, seed=0, device=CPU).run(images, targets.__getitem__)
    return {name: value.clone().contiguous() for name, value in student.state_dict().items()}


def parameters(model) -> dict[str, torch.Tensor]:
    student = {} if model.student is None else model.student.state_dict()
    values = {"proportions": model.prior.proportions} | model.generator.state_dict()
    values |= {f"student.{name}": value for name, value in student.items()}
    values["objectives"] = torch.tensor([entry.get("objective", 0.0) for entry in model.history])
    values["losses"] = torch.tensor([entry.get("student_loss", 0.0) for entry in model.history])
    return {name: value.clone().contiguous() for name, value in values.items()}


def sums(rank: int) -> dict[str, object]:
    """Return what the collectives give for numbers both processes know."""
    given, unused, absent = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    given.grad = torch.tensor([1.0, 2.0 + rank])
    unused.grad = torch.ones(2) if rank else None
    distributed.sum_gradients([given, unused, absent])
    return {
        "own": [list(range(count))[distributed.own(count)] for count in (1, 2, 5)],
        "total": distributed.total(torch.tensor([1.0, rank])).tolist(),
        "gradients": [None if p.grad is None else p.grad.tolist() for p in (given, unused, absent)],
        "agreed": distributed.agreed(15 * rank),
        "late": [distributed.late(end) for end in (math.inf, time.monotonic() + 99 * (1 - rank))],
        "of_lead": distributed.of_lead(lambda: f"from {rank}"),
        "spread": distributed.spread([1, 2, 3], lambda item: (item, rank)),
        "leads": distributed.leads(),
    }


def main(folder: Path) -> None:
    # A process that hangs must not hang the tests for the hour of real runs.
    distributed._PATIENCE = distributed.timedelta(seconds=60)
    with distributed.joined():
        rank = dist.get_rank()
        for name in RUNS:
            save_file(parameters(fit(name)), folder / f"{name} {rank}.safetensors")
        save_file(learned_encoder(), folder / f"learned encoder {rank}.safetensors")
        try:
            fit("restarts", Watched(folder / "stopped", stop_at=STOP_AT if rank else 0))
        except Interrupted as stopped:
            code = stopped.exit_code
        resumed = fit("restarts", Watched(folder / "again", state=read_newest(folder / "stopped")))
        save_file(parameters(resumed), folder / f"resumed {rank}.safetensors")
        (folder / f"{rank}.json").write_text(json.dumps({**sums(rank), "exit_code": code}))
        train_folder(folder / "images", folder / "model", Training(config=folder / "quick.yaml"))
        if rank:
            raise PixelClusterError("a disk is full")
        distributed.total(torch.zeros(1))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except PixelClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
