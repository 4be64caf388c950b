"""A fitted model, and the labels of new images by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pixelcluster.cluster.graph import ImageGraph, locate, neighbour_votes
from pixelcluster.cluster.inference import infer_evidence
from pixelcluster.cluster.joint import ImageGenerator
from pixelcluster.cluster.recognition import Recognition
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.student import ImageStudent
from pixelcluster.errors import PixelClusterError

Mode = Literal["exact", "generator", "fast"]


@dataclass(kw_only=True)
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
        objective: mean log p(x), nats per image, up to a constant.
    """

    settings: ImageSettings
    generator: ImageGenerator
    recognition: Recognition
    proportions: Tensor
    graph: ImageGraph | None
    probabilities: Tensor
    latents: Tensor
    student: ImageStudent | None
    objective: float

    @property
    def channels(self) -> int:
        """C of the images."""
        return self.generator.channels


def infer_images(
    model: ImageModel, images: Tensor, *, mode: Mode, seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return probabilities (B, K) and z under the chosen cluster (B, d) of new images; no image sees another.

    The probabilities are those given this fit, without the doubt which clusters there are: too sure.

    Args:
        model: fitted.
        images: (B, C, S, S) uint8.
        mode: "exact" has the generator's evidence and the neighbours among the images of the fit;
            "generator" the evidence alone; "fast" asks the student.
        seed: of the chains.
        device: where to compute.

    Raises:
        PixelClusterError: mode "fast" without a student, or probabilities that are not finite.
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
        evidence, latents = infer_evidence(
            model.generator, model.recognition, model.settings, images, seed=seed, device=device
        )
        logits = evidence + model.proportions.log()
        if mode == "exact" and model.graph is not None:
            graph = model.graph
            places = locate(images, graph.mean, graph.axes)
            votes = neighbour_votes(graph, model.probabilities, places, model.settings.n_neighbours)
            logits = logits + model.settings.potts_weight * votes
        probabilities = logits.softmax(1)
    if not probabilities.isfinite().all():  # argmax would call it label 0
        raise PixelClusterError(f"the model's answer is not finite in mode {mode}; fit the model again")
    return probabilities, latents[torch.arange(len(latents)), probabilities.argmax(1)]
