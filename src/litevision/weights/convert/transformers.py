"""The state_dict names of Hugging Face transformers: ``google/mobilenet_v1_*`` and ``google/mobilenet_v2_*``.

They are slim's published checkpoints, with slim's padding, epsilon and 1001 classes. The backbone's names may stand
without ``mobilenet_v1.`` or ``mobilenet_v2.`` before them, as in a file of the backbone alone.

Source: transformers ``models/mobilenet_v1/modeling_mobilenet_v1.py``, ``models/mobilenet_v2/modeling_mobilenet_v2.py``.
"""

from collections.abc import Iterator

from torch import nn

from litevision.models.network import Network
from litevision.weights.convert.layout import BATCH_COUNTS, LayerMapping, Layout


def mobilenet_v1(network: Network) -> Iterator[LayerMapping]:
    """``conv_stem``, ``layer.{i}``, depthwise and pointwise in turn; ``classifier``."""
    for i, (name, _) in enumerate(network.features.named_children()):
        yield from _conv_norm(f"features.{name}", f"mobilenet_v1.layer.{i - 1}" if i else "mobilenet_v1.conv_stem")
    yield LayerMapping("head.classifier", "classifier")


def mobilenet_v2(network: Network) -> Iterator[LayerMapping]:
    """``conv_stem`` with the first block, ``layer.{i}``, ``conv_1x1``; ``classifier``."""
    yield from _conv_norm("features.stem", "mobilenet_v2.conv_stem.first_conv")
    blocks = [name for name, _ in network.features.named_children() if name.startswith("block_")]
    for i, name in enumerate(blocks):
        theirs = f"mobilenet_v2.layer.{i - 1}" if i else "mobilenet_v2.conv_stem"
        for ours, part in (("expand", "expand_1x1"), ("depthwise", "conv_3x3"), ("project", "reduce_1x1")):
            if not isinstance(network.get_submodule(f"features.{name}.{ours}"), nn.Identity):
                yield from _conv_norm(f"features.{name}.{ours}", f"{theirs}.{part}")
    yield from _conv_norm("features.conv_last", "mobilenet_v2.conv_1x1")
    yield LayerMapping("head.classifier", "classifier")


def _conv_norm(ours: str, theirs: str) -> Iterator[LayerMapping]:
    for part, leaf in (("conv", "convolution"), ("norm", "normalization")):
        bare = theirs.partition(".")[2]
        yield LayerMapping(f"{ours}.{part}", f"{theirs}.{leaf}", also=(f"{bare}.{leaf}",))


LAYOUT = Layout(
    name="transformers",
    dialects=("slim",),
    mappings={"mobilenet_v1": mobilenet_v1, "mobilenet_v2": mobilenet_v2},
    dropped=BATCH_COUNTS,
    background_class=True,
)
