"""The chains of an image that is read climb to the mode."""

from __future__ import annotations

import torch
from torch.nn import functional

from pixelcluster.cluster.fit import ImageFit
from pixelcluster.cluster.inference import infer_evidence
from pixelcluster.cluster.joint import laplace_evidence, log_joint
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.to_tensor import from_array
from tests.cluster.conftest import SIDE, planted

CPU = torch.device("cpu")


@torch.no_grad()
def test_steps_raise_the_joint_of_every_image_and_evidence_is_taken_there(quick: ImageSettings) -> None:
    pixels, labels = planted(36)
    images = from_array(pixels, SIDE)
    fit = ImageFit(images, quick, 3, seed=0, device=CPU, labels=torch.from_numpy(labels))
    x = functional.adaptive_avg_pool2d(images.float() / 255, quick.generator_side)
    target, joints = log_joint(fit.generator, x, None, fit.sigma), []
    for steps in (0, 10):
        settings = quick.model_copy(update={"inference_steps": steps, "step_size": 0.05})
        evidence, z = infer_evidence(fit.generator, fit.recognition, settings, images, seed=0, device=CPU)
        stated = fit.recognition(images.float() / 255)
        wanted = laplace_evidence(fit.generator, x, z, stated, fit.sigma)
        torch.testing.assert_close(evidence, wanted)
        joints.append(target(z))
    assert (joints[1] > joints[0] + 1).all()
