"""One training in several processes, on one machine or many, started by torchrun.

Every process holds all images, chains and parameters, and they stay equal: of each mini-batch a process
samples its share of the images and computes their part of the gradient; chains, gradients and the sums
behind the closed-form steps are then exchanged. The noise of a chain follows from (seed, image, visit), so
the number of processes changes rounding only. Collectives run over gloo on CPUs and NCCL between GPUs;
without torchrun each function here is the identity.
"""

from __future__ import annotations

import atexit
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from pixelcluster import clock
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.sampling.posterior import Posterior
from pixelcluster.stopping import Interrupted, StopSignals

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = timedelta(hours=1)
"""How long a process waits for one that is silent: the leading one may learn a dictionary alone. The end of a
process is noticed at once."""
_TELLING = timedelta(seconds=10)
"""How long processes that fail wait for the one that says why."""

_taking_part = False
"""Only inside `joined`: a program that uses torch.distributed for itself may fit a model in one process."""


@contextmanager
def joined(stop: StopSignals | None = None) -> Iterator[None]:
    """Take part in the training torchrun started; do nothing in a process of its own.

    Of the processes that fail, the first says why, in one line; the others end silently.

    Args:
        stop: the signals of this process.

    Raises:
        PixelClusterError: as the block raises it, or another process was lost.
    """
    launched = dist.is_available() and dist.is_torchelastic_launched()
    count = int(os.environ["WORLD_SIZE"]) if launched else 1
    if count == 1:
        yield
        return
    global _taking_part
    store, rank, _ = next(rendezvous("env://", timeout=_PATIENCE))
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    try:
        _guarded(
            dist.init_process_group,
            "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
            store=store,
            rank=rank,
            world_size=count,
            timeout=_PATIENCE,
        )
        _taking_part = True
        with warnings.catch_warnings():
            if rank:
                warnings.simplefilter("ignore", PixelClusterWarning)
            yield
    except (PixelClusterError, MemoryError, Interrupted) as error:
        if _is_first(store):
            raise
        if stop is not None:
            stop.deferred = True  # torchrun sends a signal to those that are left
        with suppress(RuntimeError):
            store.wait(["told"], _TELLING)
        raise SystemExit(error.exit_code if isinstance(error, Interrupted) else 1) from None
    finally:
        _taking_part = False
        if dist.is_initialized():
            dist.destroy_process_group()


def _is_first(store: Any) -> bool:
    """Whether no other process has failed yet; the others then wait until this one has ended."""
    try:
        first = bool(store.add("failed", 1) == 1)
    except RuntimeError:  # torchrun itself is gone
        return True
    if first:
        atexit.register(_tell, store)
    return first


def _tell(store: Any) -> None:
    with suppress(RuntimeError):
        store.set("told", "1")


def size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if _taking_part else 1


def leads() -> bool:
    """Whether this process is the one that writes files and shows progress."""
    return size() == 1 or dist.get_rank() == 0


def own(count: int) -> slice:
    """Return which of `count` things are this process's; of few there may be none."""
    n = size()
    rank = dist.get_rank() if n > 1 else 0
    return slice(rank * count // n, (rank + 1) * count // n)


def total(value: Tensor) -> Tensor:
    """Return the sum over all processes."""
    if size() == 1:
        return value
    summed = value.detach().clone()
    _guarded(dist.all_reduce, summed)
    return summed


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace each gradient by its sum over all processes; one that no process has stays None."""
    if size() == 1:
        return
    kept = list(parameters)
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in kept]
    present = torch.tensor([float(p.grad is not None) for p in kept], device=kept[0].device)
    summed = total(torch.cat([*(part.flatten() for part in parts), present]))
    *gradients, present = torch.split(summed, [*(p.numel() for p in kept), len(kept)])
    for parameter, gradient, there in zip(kept, gradients, present.tolist(), strict=True):
        # The memory format stays the parameter's own.
        values = torch.empty_like(parameter).copy_(gradient.view(parameter.shape))
        parameter.grad = values if there else None


def agreed(number: int) -> int:
    """Return the largest of the numbers the processes have: a decision all of them share."""
    if size() == 1:
        return number
    largest = torch.tensor(number)
    _guarded(dist.all_reduce, largest, op=dist.ReduceOp.MAX)
    return int(largest)


def late(deadline: float) -> bool:
    """Whether `clock.now()` has passed a deadline, by the clock of any process."""
    return deadline < math.inf and bool(agreed(int(clock.now() > deadline)))


def of_lead(compute: Callable[[], T]) -> T:
    """Return what the leading process computes; the others wait. It travels as a pickle, so be on the CPU."""
    if size() == 1:
        return compute()
    box: list[Any] = [compute() if leads() else None]
    _guarded(dist.broadcast_object_list, box, src=0)
    result: T = box[0]
    return result


def gathered(value: T) -> list[T]:
    """Return the values of all processes, in order; they travel as pickles, so be on the CPU."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    _guarded(dist.all_gather_object, values, value)
    return values


def spread(items: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """Return work(item) of each item, in order; the processes take turns, and all get every result."""
    n = size()
    results: list[R] = []
    for start in range(0, len(items), n):  # one each at a time, as results may be large
        group = items[start : start + n]
        mine = group[own(n)]
        results += gathered(work(mine[0]) if mine else None)[: len(group)]  # type: ignore[arg-type]
    return results


def whole_posterior(part: Posterior | None, device: torch.device) -> Posterior:
    """Return the posterior of a batch from what each process has of it, in order.

    Args:
        part: this process's images; None: it has none.
        device: where the result is wanted.
    """
    if part is not None and size() == 1:
        return part
    on_cpu = None if part is None else Posterior(*(value.cpu() for value in part))
    parts = [each for each in gathered(on_cpu) if each is not None]
    fields = zip(Posterior._fields, zip(*parts, strict=True), strict=True)
    joined = {name: torch.cat(values, dim=int(name == "log_joint")) for name, values in fields}
    return Posterior(**{name: value.to(device) for name, value in joined.items()})


def _guarded(collective: Callable[..., object], *arguments: object, **options: object) -> None:
    """Call a collective; a lost process is an error of one line."""
    try:
        collective(*arguments, **options)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        reason = reason.split("] ", 1)[-1][:100]  # gloo begins with a line of its source
        raise PixelClusterError(
            f"another process of this training ended or was silent for {_PATIENCE} ({reason}); "
            "go on from the last checkpoint with --resume"
        ) from error
