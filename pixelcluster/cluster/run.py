"""From images to a fitted model: a start, the fits from it, and what the best of them says of the images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.cluster.fit import ImageFit, n_iterations
from pixelcluster.cluster.graph import ImageGraph, build_graph
from pixelcluster.cluster.inference import infer_evidence
from pixelcluster.cluster.joint import ImageGenerator
from pixelcluster.cluster.model import ImageModel
from pixelcluster.cluster.partition import partition
from pixelcluster.cluster.run_state import ImageRun, load_run, run_state
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.student import fit_student
from pixelcluster.errors import PixelClusterError
from pixelcluster.model.prior import LabelPrior, estimate_proportions, sparse_proportions
from pixelcluster.progress import Pace, Progress
from pixelcluster.resuming.identity import check_same_run, fingerprints, identity, of_checkpoint
from pixelcluster.resuming.snapshots import Snapshots
from pixelcluster.resuming.state_file import State
from pixelcluster.sampling import gibbs
from pixelcluster.training.restarts import best_of
from pixelcluster.training.starts import count_distinct
from pixelcluster.variational.image import VariationalClustering

_SWEEPS = 20
_NETWORK_MINUTES = 10.0
"""The longest that the network learns which makes a start without a graph."""
_NETWORK_SHARE = 0.3
"""Share of a limited time that it has at most."""
_CHAINS_SHARE = 0.8
"""Share of a limited time for the fits; the rest is for reading the images and for the student."""
_SPARSITY = 0.02
"""Where K is learned, clusters with a smaller share of the images are pruned."""


def fit_images(
    images: Tensor,
    settings: ImageSettings,
    *,
    seed: int,
    device: torch.device,
    known: Tensor | None = None,
    deadline: float = math.inf,
    progress: Progress | None = None,
    snapshots: Snapshots | None = None,
) -> ImageModel:
    """Cluster images.

    Args:
        images: (N, C, S, S) uint8, S = settings.side.
        settings: the settings.
        seed: of everything random.
        device: where to compute.
        known: (N,) int64 labels that stay, -1 where unknown; clusters then have the labels' numbers.
        deadline: `clock.now()` after which learning ends.
        progress: see `pixelcluster.progress`.
        snapshots: saves the run now and then; holds the state to go on from, if there is one.

    Raises:
        PixelClusterError: fewer images, or fewer distinct ones, than clusters; or other images, settings or
            known labels than those of the state.
        Interrupted: a signal came; the run is saved.
    """
    n_clusters = _n_clusters(images, settings)
    saved = None if snapshots is None else snapshots.state
    prints = torch.empty(0) if snapshots is None else fingerprints(list(images.numpy()))
    told = torch.full((len(images),), -1) if known is None else known
    if saved is not None:
        with of_checkpoint():
            check_same_run(saved, settings, seed, prints)
            if not torch.equal(saved["known"], told):
                raise PixelClusterError("the run was begun with other known labels; restore their file")
    graph = build_graph(images, settings.n_neighbours) if settings.start == "graph" else None
    sparse = None if graph is None else graph.sparse
    run = ImageRun()

    def start(own_seed: int) -> ImageFit:
        return ImageFit(
            images,
            settings,
            n_clusters,
            seed=own_seed,
            device=device,
            graph=sparse,
            labels=run.labels,
            known=told,
        )

    def describe() -> State:
        return {**identity(settings, seed, prints), "known": told, **run_state(run)}

    def after() -> None:
        run.step += 1
        if snapshots is not None:
            snapshots.after_step(run.step, describe)

    if saved is not None:
        with of_checkpoint():
            load_run(run, saved, start)
    else:
        run.labels = _start_labels(images, settings, n_clusters, graph, seed, device, deadline)
        if run.labels is not None and known is not None:
            run.labels = renamed(run.labels, known, n_clusters)
    if saved is None or deadline < math.inf:
        run.deadline = run.chains_until = deadline
        if settings.student_epochs:
            now = clock.now()
            run.chains_until = now + _CHAINS_SHARE * (deadline - now)
    if snapshots is not None:
        snapshots.after_step(run.step, describe)  # the start itself may have taken minutes
    n_steps = settings.restarts * n_iterations(len(images), settings)
    pace = Pace(n_steps, until=run.deadline, part="the fit")

    def tell(facts: Mapping[str, object]) -> None:
        if progress is not None:
            where = {"start": run.starts.done + 1, "starts": settings.restarts}
            progress({**where, **facts, "step": run.step, **pace.facts(run.step)})

    best = best_of(
        settings.restarts,
        start,
        lambda fit: fit.run(deadline=run.chains_until, progress=tell, after=after),
        seed=seed,
        deadline=run.chains_until,
        at=run.starts,
    )
    if snapshots is not None:
        snapshots.settle(run.step, describe())
    return _model(images, best, graph, seed, run.deadline, progress)


def _n_clusters(images: Tensor, settings: ImageSettings) -> int:
    """Return K at the start.

    Raises:
        PixelClusterError: fewer distinct images.
    """
    n_clusters = settings.max_clusters if settings.n_clusters == "auto" else settings.n_clusters
    n_distinct = count_distinct(images.flatten(1))
    if settings.n_clusters == "auto":
        n_clusters = min(n_clusters, n_distinct)
    if n_distinct < max(n_clusters, 2):
        raise PixelClusterError(
            f"{n_distinct} distinct images for {n_clusters} clusters; give more images or fewer clusters"
        )
    return n_clusters


def _start_labels(
    images: Tensor,
    settings: ImageSettings,
    n_clusters: int,
    graph: ImageGraph | None,
    seed: int,
    device: torch.device,
    deadline: float,
) -> Tensor | None:
    """Return labels (N,) to start from, as the settings say; None: random ones."""
    if graph is not None:
        return partition(graph, n_clusters, seed)
    if settings.start == "random":
        return None
    pixels = images.permute(0, 2, 3, 1).numpy()
    minutes = min(_NETWORK_MINUTES, _NETWORK_SHARE * max(deadline - clock.now(), 0) / 60)
    network = VariationalClustering(n_clusters, seed=seed, device=device.type, minutes=minutes)
    return torch.from_numpy(network.fit(pixels).predict(pixels))


def _model(
    images: Tensor,
    fit: ImageFit,
    graph: ImageGraph | None,
    seed: int,
    deadline: float,
    progress: Progress | None,
) -> ImageModel:
    """Return the model of a finished fit: small clusters pruned where K is learned, and a student."""
    settings, device = fit.settings, fit.device
    generator: ImageGenerator = fit.generator
    recognition, labels, n_clusters = fit.recognition, fit.labels, fit.generator.n_clusters
    counts = torch.bincount(labels, minlength=n_clusters).float()
    if settings.n_clusters == "auto":
        proportions = sparse_proportions(counts, _SPARSITY)
        kept = proportions > 0
        generator, recognition = generator.select(kept), recognition.select(kept)
        n_clusters, proportions = int(kept.sum()), proportions[kept]
        settings = settings.model_copy(update={"n_clusters": n_clusters})
        # Images of a pruned cluster have no label yet; the evidence alone says where they go.
        labels = torch.where(kept[labels], (kept.cumsum(0) - 1)[labels], -1)
    else:
        proportions = estimate_proportions(counts, 1.0)
    evidence, latents = infer_evidence(generator, recognition, settings, images, seed=seed, device=device)
    if graph is None:
        probabilities = gibbs.held((evidence + proportions.log()).softmax(1), fit.known)
    else:
        prior = LabelPrior(proportions, potts_weight=settings.potts_weight)
        q = gibbs.mean_field(
            evidence.T[None],
            prior,
            fit.graph,
            n_sweeps=_SWEEPS,
            start=_soft(labels, n_clusters).T[None],
            clamp=fit.known[None],
        )
        probabilities = q[0].T.contiguous()
    own = latents[torch.arange(len(latents)), probabilities.argmax(1)]
    student = None
    if settings.student_epochs:
        student = fit_student(
            images,
            probabilities,
            settings.student_epochs,
            seed=seed,
            device=device,
            deadline=deadline,
            progress=progress,
        )
    return ImageModel(
        settings=settings,
        generator=generator,
        recognition=recognition,
        proportions=proportions,
        graph=graph,
        probabilities=probabilities,
        latents=own,
        student=student,
        objective=fit.objective,
    )


def renamed(labels: Tensor, known: Tensor, n_clusters: int) -> Tensor:
    """Return labels (N,) with clusters renumbered to agree best with the known labels, -1 where unknown."""
    told = known >= 0
    table = torch.zeros(n_clusters, n_clusters)
    table.index_put_((labels[told], known[told]), torch.ones(int(told.sum())), accumulate=True)
    _, names = linear_sum_assignment(-table.numpy())
    return torch.from_numpy(names)[labels]


def _soft(labels: Tensor, n_clusters: int) -> Tensor:
    """Return labels (N,) as probabilities (N, K), uniform where a label is -1."""
    sure = functional.one_hot(labels.clamp_min(0), n_clusters).float()
    return torch.where((labels >= 0)[:, None], sure, 1 / n_clusters)
