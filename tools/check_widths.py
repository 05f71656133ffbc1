"""Compares our parameter counts with the originals' at every width from 0.10 to 2.00, wherever the original builds.

python tools/check_widths.py [--step 1] [--only keras]     in hundredths; exit 1 where a count differs

torchvision's and timm's networks are built on the meta device. Keras' own functions run with layers that only count,
so that no tensor is made.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from litevision.models import build, configure

FIRST, LAST = 10, 200


class Shaped:
    """Stands for a tensor of Keras': all that is known of it is its channels."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.shape = (None, 8, 8, channels)

    def __add__(self, other: object) -> "Shaped":
        return self

    __radd__ = __mul__ = __rmul__ = __truediv__ = __add__


class CountingLayers:
    """Stands for Keras' ``layers``: a layer of any kind passes its input on and adds its weights to ``count``."""

    def __init__(self) -> None:
        self.count = 0

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: lambda x: self._apply(kind, args, kwargs, x)

    def Input(self, shape: tuple[int, ...], **_: object) -> Shaped:  # noqa: N802  # Keras' name
        return Shaped(shape[-1])

    def _apply(self, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any], x: Any) -> Any:
        if isinstance(x, list):
            x = x[0]
        if kind == "Conv2D":
            filters = kwargs.get("filters", args[0] if args else None)
            size = kwargs.get("kernel_size", args[1] if len(args) > 1 else 1)
            height, width = (size, size) if isinstance(size, int) else size
            self.count += height * width * x.channels * filters + filters * kwargs.get("use_bias", True)
            return Shaped(filters)
        if kind == "DepthwiseConv2D":
            size = kwargs.get("kernel_size", args[0] if args else None)
            height, width = (size, size) if isinstance(size, int) else size
            out = x.channels * kwargs.get("depth_multiplier", 1)
            self.count += height * width * out + out * kwargs.get("use_bias", True)
            return Shaped(out)
        if kind == "Dense":
            units = kwargs.get("units", args[0] if args else None)
            self.count += x.channels * units + units * kwargs.get("use_bias", True)
            return Shaped(units)
        if kind == "BatchNormalization":
            self.count += 2 * x.channels  # scale and shift; Keras' trainable weights
        return x


def keras_count(module: ModuleType, build_original: Callable[..., Any], arguments: dict[str, Any]) -> int:
    """The trainable weights of the network that Keras' function makes."""
    layers = CountingLayers()
    replaced = {
        "layers": layers,
        "Functional": lambda *args, **kwargs: None,
        "backend": SimpleNamespace(
            image_data_format=lambda: "channels_last", is_keras_tensor=lambda x: True, int_shape=lambda x: x.shape
        ),
    }
    before = {name: getattr(module, name) for name in replaced if hasattr(module, name)}
    for name in before:
        setattr(module, name, replaced[name])
    try:
        build_original(input_shape=(224, 224, 3), weights=None, classes=1000, **arguments)
    finally:
        for name, value in before.items():
            setattr(module, name, value)
    return layers.count


def keras_forms() -> Iterator[tuple[str, str, Callable[[float], int]]]:
    """Our name and dialect, and what counts the original at a width."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras.src.applications import mobilenet, mobilenet_v2, mobilenet_v3

    def counter(module: ModuleType, function: Callable[..., Any], **more: Any) -> Callable[[float], int]:
        return lambda width: keras_count(module, function, {"alpha": width, **more})

    plain = {"include_preprocessing": False}
    yield "mobilenet_v1", "keras", counter(mobilenet, mobilenet.MobileNet)
    yield "mobilenet_v2", "keras", counter(mobilenet_v2, mobilenet_v2.MobileNetV2)
    for size, function in (("large", mobilenet_v3.MobileNetV3Large), ("small", mobilenet_v3.MobileNetV3Small)):
        yield f"mobilenet_v3_{size}", "keras", counter(mobilenet_v3, function, **plain)
        small = counter(mobilenet_v3, function, minimalistic=True, **plain)
        yield f"mobilenet_v3_{size}_minimalistic", "keras", small


def torchvision_forms() -> Iterator[tuple[str, str, Callable[[float], int]]]:
    """Likewise, of torchvision's networks that have a width."""
    import torchvision

    for name in ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"):
        function = getattr(torchvision.models, name)
        yield name, "torchvision", lambda width, function=function: _num_params(function(width_mult=width))


def timm_forms() -> Iterator[tuple[str, str, Callable[[float], int]]]:
    """Likewise, of timm's generators, which take a width that its names do not offer."""
    from timm.models import efficientnet, mobilenetv3

    v1, v2, v3 = efficientnet._gen_mobilenet_v1, efficientnet._gen_mobilenet_v2, mobilenetv3._gen_mobilenet_v3
    yield "mobilenet_v1", "timm", lambda width: _num_params(v1("mobilenetv1_100", width))
    yield "mobilenet_v2", "timm", lambda width: _num_params(v2("mobilenetv2_100", width))
    for size in ("large", "small"):
        for ours, theirs in ((f"mobilenet_v3_{size}", f"mobilenetv3_{size}_100"),
                             (f"mobilenet_v3_{size}_minimalistic", f"tf_mobilenetv3_{size}_minimal_100")):  # fmt: skip
            yield ours, "timm", lambda width, theirs=theirs: _num_params(v3(theirs, width))


ORIGINS: dict[str, Callable[[], Iterator[tuple[str, str, Callable[[float], int]]]]] = {
    "keras": keras_forms,
    "torchvision": torchvision_forms,
    "timm": timm_forms,
}


def _num_params(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def compare(origin: str, widths: list[float]) -> Iterator[tuple[str, float, int, int]]:
    """Yields our name, the width, our count and theirs, for each network of ``origin`` that builds at a width."""
    for name, dialect, theirs in ORIGINS[origin]():
        for width in widths:
            with torch.device("meta"):
                try:
                    expected = theirs(width)
                except (ValueError, ZeroDivisionError, RuntimeError):  # no such network
                    continue
            yield (
                name,
                width,
                _num_params(build(configure(name, dialect=dialect, width_mult=width), device="meta")),
                expected,
            )


def main() -> int:
    """Print a line for each origin's network, and each width that differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--only", choices=ORIGINS)
    options = parser.parse_args()
    widths = [hundredths / 100 for hundredths in range(FIRST, LAST + 1, options.step)]
    wrong = 0
    for origin in [options.only] if options.only else ORIGINS:
        compared: dict[str, int] = {}
        for name, width, ours, theirs in compare(origin, widths):
            compared[name] = compared.get(name, 0) + 1
            if ours != theirs:
                wrong += 1
                print(f"{origin} {name} {width:g}: ours {ours:,}, theirs {theirs:,}", flush=True)
        for name, count in compared.items():
            print(f"{origin} {name}: {count} of {len(widths)} widths build there and were compared", flush=True)
    print(f"{wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
