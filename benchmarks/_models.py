"""The model files that the benchmarks compare: the same MobileNetV2, as each contender reads it. Needs torch."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from litevision.exporting.export import export
from litevision.image import decode
from litevision.weights.create import create
from litevision.weights.save import save_weights

_SEED = 0
_GAIN = 15  # of the random classifier, so that some of its answers lead by as much as a trained one's


def make_bundle(place: Path, weights: Path | None, images: Sequence[Path]) -> None:
    """Writes the weights as ``torchvision.pth``, and litevision's ``bundle.onnx``.

    Args:
        weights: a state_dict with torchvision's names; random ones where it is None.
        images: what random weights take the statistics of their batch normalisation from.
    """
    state = torch.load(weights, weights_only=True) if weights else _random_network(images).state_dict()
    torch.save(state, place / "torchvision.pth")
    export(place / "torchvision.pth", place / "bundle.onnx")


def make_timm_weights(place: Path) -> None:
    """Writes ``timm.pth``, the same weights with timm's names; both list the same tensors in the same order."""
    import timm

    names = timm.create_model("mobilenetv2_100").state_dict()
    torch.save(dict(zip(names, _network(place).state_dict().values(), strict=True)), place / "timm.pth")


def make_plain_onnx(place: Path) -> None:
    """Writes ``plain.onnx``, what a person exports by hand: normalised float32 [N, 3, 224, 224] to logits."""
    torch.onnx.export(
        _network(place).eval(),
        (torch.zeros(2, 3, 224, 224),),
        place / "plain.onnx",
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["images"],
        output_names=["logits"],
        external_data=False,
        verbose=False,
    )


def make_random_bundle(path: Path, name: str) -> None:
    """A bundle of the network ``name`` that takes as long as a trained one, and gives every image the same answer.

    So no precision changes any, and speed alone decides between engines.
    """
    torch.manual_seed(_SEED)
    weights, network = path.with_suffix(".safetensors"), create(name)
    with torch.inference_mode():
        network.head.classifier.bias[0] += 1
    save_weights(network, weights)
    export(weights, path)


def _network(place: Path) -> nn.Module:
    network = mobilenet_v2()
    network.load_state_dict(torch.load(place / "torchvision.pth", weights_only=True))
    return network


def _random_network(paths: Sequence[Path]) -> nn.Module:
    """A network whose answers depend on the image: fresh, its signal fades to 1e-10 before the classifier."""
    torch.manual_seed(_SEED)
    network = mobilenet_v2()
    transform = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    images: Tensor = torch.stack([transform(decode(path)) for path in paths[:32]])
    with torch.inference_mode():
        for part in network.modules():
            if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3):
                part.weight.abs_()  # blurs, where random signs would answer to the noise of single pixels
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None  # the plain average over what it sees
        network.train()(torch.cat([images, images.flip(2)]))
        network.classifier[1].weight *= _GAIN
    return network
