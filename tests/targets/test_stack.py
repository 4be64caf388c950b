from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.targets.rgb import RgbStack
from pixelcluster.targets.stack import JoinedStack, build_stack


def images() -> list[torch.Tensor]:
    return list(torch.rand(3, 3, 24, 20, generator=torch.Generator().manual_seed(0)))


def test_a_single_name_is_the_stack_itself() -> None:
    assert isinstance(build_stack("rgb", label_stride=2), RgbStack)


@pytest.mark.parametrize(("spec", "share"), [("rgb+texture", 0.5), ("3*rgb + texture", 0.75)])
def test_blocks_have_their_share_of_the_variance(spec: str, share: float) -> None:
    stack = build_stack(spec, label_stride=4, options={"texture": {"scales": (1.0, 2.0)}}).fit(images())
    variance = stack(torch.stack(images())).var((0, 2, 3), correction=0)
    assert stack.n_channels == len(variance) == 12
    assert (variance[:3].sum() / variance.sum()).item() == pytest.approx(share, abs=1e-3)
    assert variance.mean().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("room", [1 << 30, 0])
def test_targets_of_the_fit_are_those_of_the_stack_bit_for_bit(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is resumed computes them anew from the saved stack."""
    monkeypatch.setattr("pixelcluster.targets.base._KEPT_BYTES", room)
    random = torch.Generator().manual_seed(0)
    images = [torch.rand(3, 40, width, generator=random) for width in (40, 32, 24)]
    masks = [torch.ones(image.shape[1:], dtype=torch.bool) for image in images]
    masks[0][:20] = False
    options = {"patches": {"n_atoms": 8}, "correspondence": {"scales": (1,), "steps": 2}}
    stack = build_stack("texture+patches+correspondence", label_stride=8, options=options)
    targets = stack.fit_transform(images, masks=masks)
    for image, own in zip(images, targets, strict=True):
        assert torch.equal(stack(image[None])[0], own)


def test_state_restores_all_blocks() -> None:
    spec, options = "patches+sobel", {"patches": {"n_atoms": 8, "patch_size": 3}}
    stack = build_stack(spec, label_stride=4, options=options).fit(images(), seed=2)
    other = build_stack(spec, label_stride=4, options=options)
    assert isinstance(other, JoinedStack)
    other.load_state_dict(stack.state_dict())
    assert torch.equal(other(images()[0][None]), stack(images()[0][None]))


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("rbg", {}, "unknown target stack 'rbg'"),
        ("rgb+", {}, "unknown target stack ''"),
        ("rgb+rgb", {}, "names a part twice"),
        ("0*rgb", {}, "weight '0'"),
        ("x*rgb", {}, "weight 'x'"),
        ("rgb", {"texture": {}}, "options for texture"),
        ("rgb", {"rgb": {"colour": 1}}, "do not fit the stack rgb"),
    ],
)
def test_wrong_specification_is_refused(
    spec: str, options: dict[str, dict[str, object]], message: str
) -> None:
    with pytest.raises(PixelClusterError, match=message.replace("*", r"\*")):
        build_stack(spec, label_stride=2, options=options)


def test_plain_stacks_import_no_heavy_library() -> None:
    code = (
        "import sys; from pixelcluster.targets.stack import build_stack;"
        "build_stack('rgb+sobel+texture', label_stride=2);"
        "heavy = {'timm', 'segmentation_models_pytorch', 'sklearn', 'skimage', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
