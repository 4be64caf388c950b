"""From images to a fitted model, and from a fitted model to the labels of new images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.cluster.fit import ImageFit
from pixelcluster.cluster.graph import ImageGraph, build_graph, locate, neighbour_votes
from pixelcluster.cluster.joint import ImageGenerator, clamped
from pixelcluster.cluster.partition import partition
from pixelcluster.cluster.reading import read_images
from pixelcluster.cluster.recognition import Recognition
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.student import Student, fit_student
from pixelcluster.errors import PixelClusterError
from pixelcluster.model.prior import LabelPrior, estimate_proportions
from pixelcluster.sampling import gibbs
from pixelcluster.training.starts import count_distinct
from pixelcluster.variational.image import VariationalClustering

Progress = Callable[[Mapping[str, object]], None]
Mode = Literal["exact", "generator", "fast"]

_SWEEPS = 20
_NETWORK_MINUTES = 10.0
"""Of the network that makes a start without a graph, at most."""
_SPARSITY = 0.02
"""Of all images: where K is learned, smaller clusters are pruned."""


@dataclass
class ImageModel:
    """A fitted model.

    Attributes:
        settings: what it was fitted with; n_clusters is K.
        generator: G.
        recognition: starts the chains.
        proportions: (K,) pi.
        graph: of the images of the fit; None where the start was random.
        probabilities: (N, K) of the images of the fit.
        latents: (N, d), z of the images of the fit under their cluster.
        student: the fast mode; None: there is none.
        objective: mean log p(x), nats an image, up to a constant.
    """

    settings: ImageSettings
    generator: ImageGenerator
    recognition: Recognition
    proportions: Tensor
    graph: ImageGraph | None
    probabilities: Tensor
    latents: Tensor
    student: Student | None
    objective: float

    @property
    def channels(self) -> int:
        """C of the images."""
        return self.generator.channels


def fit_model(
    images: Tensor,
    settings: ImageSettings,
    *,
    seed: int,
    device: torch.device,
    known: Tensor | None = None,
    deadline: float = math.inf,
    progress: Progress | None = None,
) -> ImageModel:
    """Cluster images.

    Args:
        images: (N, C, S, S) uint8, S = settings.side.
        settings: the settings.
        seed: of everything random.
        device: where to compute.
        known: (N,) int64 labels that stay, -1 where unknown; clusters then have the labels' numbers.
        deadline: `clock.now()` after which learning ends.
        progress: called now and then with step, objective, shares, steps_per_second, seconds_left.

    Raises:
        PixelClusterError: fewer images, or fewer distinct ones, than clusters.
    """
    n_clusters = settings.max_clusters if settings.n_clusters == "auto" else settings.n_clusters
    n_distinct = count_distinct(images.flatten(1))
    if settings.n_clusters == "auto":
        n_clusters = min(n_clusters, n_distinct)
    if n_distinct < max(n_clusters, 2):
        raise PixelClusterError(
            f"{n_distinct} distinct images for {n_clusters} clusters; give more images or fewer clusters"
        )
    graph = build_graph(images, settings.n_neighbours) if settings.start == "graph" else None
    sparse = None if graph is None else graph.sparse
    labels = None
    if graph is not None:
        labels = partition(graph, n_clusters, seed)
    elif settings.start == "network":
        pixels = images.permute(0, 2, 3, 1).numpy()
        minutes = min(_NETWORK_MINUTES, max(deadline - clock.now(), 0) / 60)
        network = VariationalClustering(n_clusters, seed=seed, device=device.type, minutes=minutes)
        labels = torch.from_numpy(network.fit(pixels).predict(pixels))
    if labels is not None and known is not None:
        labels = renamed(labels, known, n_clusters)
    best: ImageFit | None = None
    for index in range(settings.restarts):
        fit = ImageFit(
            images,
            settings,
            n_clusters,
            seed=1000 * seed + index,
            device=device,
            graph=sparse,
            labels=labels,
            known=known,
        )
        fit.run(deadline=deadline, progress=progress)
        best = fit if best is None or fit.objective > best.objective else best
    assert best is not None  # restarts is at least 1
    generator: ImageGenerator = best.generator
    recognition, labels = best.recognition, best.labels
    counts = torch.bincount(labels, minlength=n_clusters).float()
    if settings.n_clusters == "auto":
        proportions = estimate_proportions(counts, -_SPARSITY * len(images))
        kept = proportions > 0
        generator, recognition = generator.select(kept), recognition.select(kept)
        n_clusters, proportions = int(kept.sum()), proportions[kept]
        settings = settings.model_copy(update={"n_clusters": n_clusters})
        # Images of a pruned cluster have no label yet; the evidence alone says where they go.
        labels = torch.where(kept[labels], (kept.cumsum(0) - 1)[labels], -1)
    else:
        proportions = estimate_proportions(counts, 1.0)
    evidence, latents = read_images(generator, recognition, settings, images, seed=seed, device=device)
    if known is not None:
        evidence = clamped(evidence, known)
    if sparse is None:
        probabilities = (evidence + proportions.log()).softmax(1)
    else:
        prior = LabelPrior(proportions, potts_weight=settings.potts_weight)
        q = gibbs.mean_field(
            evidence.T[None],
            prior,
            sparse,
            n_sweeps=_SWEEPS,
            start=_soft(labels, n_clusters).T[None],
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
        settings,
        generator,
        recognition,
        proportions,
        graph,
        probabilities,
        own,
        student,
        best.objective,
    )


def infer(
    model: ImageModel, images: Tensor, *, mode: Mode, seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return probabilities (B, K) and z under the chosen cluster (B, d) of new images; no image sees another.

    Args:
        model: fitted.
        images: (B, C, S, S) uint8.
        mode: "exact" has the generator's evidence and the neighbours among the images of the fit;
            "generator" the evidence alone; "fast" asks the student.
        seed: of the chains.
        device: where to compute.

    Raises:
        PixelClusterError: mode "fast" without a student.
    """
    if mode == "fast":
        if model.student is None:
            raise PixelClusterError("the model has no student; fit with student_epochs or use mode exact")
        with torch.no_grad():
            parts = [
                model.student(part.to(device).float() / 255).softmax(1) for part in torch.split(images, 500)
            ]
            means = [
                model.recognition(part.to(device).float() / 255).mean for part in torch.split(images, 500)
            ]
        probabilities, latents = torch.cat(parts).cpu(), torch.cat(means).cpu()
        latents = latents.expand(-1, probabilities.shape[1], -1)
    else:
        evidence, latents = read_images(
            model.generator, model.recognition, model.settings, images, seed=seed, device=device
        )
        logits = evidence + model.proportions.log()
        if mode == "exact" and model.graph is not None:
            graph = model.graph
            places = locate(images, graph.mean, graph.axes)
            votes = neighbour_votes(graph, model.probabilities, places, model.settings.n_neighbours)
            logits = logits + model.settings.potts_weight * votes
        probabilities = logits.softmax(1)
    return probabilities, latents[torch.arange(len(latents)), probabilities.argmax(1)]


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
