"""timm's state_dict names."""

from collections.abc import Iterator

from torch import nn

from litevision.models import mobilenet_v1 as v1
from litevision.models import mobilenet_v2 as v2
from litevision.models import mobilenet_v3_tables as v3
from litevision.models import mobilenet_v4 as v4
from litevision.models.blocks import ConvNormAct
from litevision.models.network import Network
from litevision.weights.convert.layout import BATCH_COUNTS, LayerMapping, Layout, conv_norm


def mobilenet_v1(network: Network) -> Iterator[LayerMapping]:
    """``conv_stem``, then ``blocks.{stage}.{i}``, where each stride of the table opens a stage."""
    yield from conv_norm("features.Conv2d_0", "conv_stem", "bn1")
    stage, i = 0, -1
    names = [name.removesuffix("_depthwise") for name, _ in network.features.named_children() if "depthwise" in name]
    rows = network.config.rows or v1.ROWS
    for name, row in zip(names, rows[1:], strict=True):
        stage, i = (stage + 1, 0) if row.stride == 2 else (stage, i + 1)
        yield from conv_norm(f"features.{name}_depthwise", f"blocks.{stage}.{i}.conv_dw", f"blocks.{stage}.{i}.bn1")
        yield from conv_norm(f"features.{name}_pointwise", f"blocks.{stage}.{i}.conv_pw", f"blocks.{stage}.{i}.bn2")
    if network.config.options.get("extra_conv"):
        yield from conv_norm("features.conv_last", "conv_head", "bn2")
    yield LayerMapping("head.classifier", "classifier")


def mobilenet_v2(network: Network) -> Iterator[LayerMapping]:
    """``conv_stem``, ``blocks.{stage}.{i}``, ``conv_head``, ``classifier``."""
    config = network.config
    stages = v2.deepened(
        config.rows or v2.STAGES, config.options.get("depth_mult", 1.0), config.options.get("fixed_ends", False)
    )
    yield from conv_norm("features.stem", "conv_stem", "bn1")
    places = [(s, i) for s, stage in enumerate(stages) for i in range(stage.repeats)]
    for block, (s, i) in enumerate(places):
        yield from inverted_residual(network, f"features.block_{block}", f"blocks.{s}.{i}")
    yield from conv_norm("features.conv_last", "conv_head", "bn2")
    yield LayerMapping("head.classifier", "classifier")


def mobilenet_v3(network: Network) -> Iterator[LayerMapping]:
    """``conv_stem``, ``blocks.{stage}.{i}``, the last convolution as one more stage, ``conv_head``, ``classifier``.

    A stage opens where the table strides or changes its channels.
    """
    config = network.config
    rows = config.rows or v3.TABLES[config.architecture].rows
    stages = v3.stages(v3.deepened(rows, config.options.get("depth_mult", 1.0)))
    yield from conv_norm("features.stem", "conv_stem", "bn1")
    places = [(s, i) for s, stage in enumerate(stages) for i in range(len(stage))]
    for block, (s, i) in enumerate(places):
        yield from inverted_residual(network, f"features.block_{block}", f"blocks.{s}.{i}")
    last = [end.name for end in network.endpoints if end.name.startswith("conv_last")]
    for i, name in enumerate(last):
        yield from conv_norm(f"features.{name}", f"blocks.{len(stages)}.{i}.conv", f"blocks.{len(stages)}.{i}.bn1")
    yield LayerMapping("head.hidden", "conv_head", as_conv=True)
    yield LayerMapping("head.classifier", "classifier")


def inverted_residual(network: Network, ours: str, theirs: str) -> Iterator[LayerMapping]:
    """One block; timm has another class, and other names, for a block without expansion."""
    if isinstance(network.get_submodule(f"{ours}.expand"), nn.Identity):
        project, bn = "conv_pw", 1
    else:
        yield from conv_norm(f"{ours}.expand", f"{theirs}.conv_pw", f"{theirs}.bn1")
        project, bn = "conv_pwl", 2
    yield from conv_norm(f"{ours}.depthwise", f"{theirs}.conv_dw", f"{theirs}.bn{bn}")
    if not isinstance(network.get_submodule(f"{ours}.se"), nn.Identity):
        yield LayerMapping(f"{ours}.se.reduce", f"{theirs}.se.conv_reduce")
        yield LayerMapping(f"{ours}.se.expand", f"{theirs}.se.conv_expand")
    yield from conv_norm(f"{ours}.project", f"{theirs}.{project}", f"{theirs}.bn{bn + 1}")


def mobilenet_v4(network: Network) -> Iterator[LayerMapping]:
    """``conv_stem``, ``blocks.{stage}.{i}``, the last convolution as one more stage, ``conv_head``, ``classifier``."""
    rows = network.config.rows or v4.TABLES[network.config.architecture].rows
    yield from conv_norm("features.stem", "conv_stem", "bn1")
    stage, i = 0, -1
    for block, row in enumerate(rows):
        stage, i = (stage + 1, 0) if row.stride == 2 and block else (stage, i + 1)
        ours, theirs = f"features.block_{block}", f"blocks.{stage}.{i}"
        if isinstance(row, v4.Conv):
            yield from conv_norm(ours, f"{theirs}.conv", f"{theirs}.bn1")
        elif isinstance(row, v4.FusedBottleneck):
            yield from conv_norm(f"{ours}.expand", f"{theirs}.conv_exp", f"{theirs}.bn1")
            yield from conv_norm(f"{ours}.project", f"{theirs}.conv_pwl", f"{theirs}.bn2")
        else:
            for part, name in {
                "start": "dw_start",
                "expand": "pw_exp",
                "middle": "dw_mid",
                "project": "pw_proj",
            }.items():
                if not isinstance(network.get_submodule(f"{ours}.{part}"), nn.Identity):
                    yield from conv_norm(f"{ours}.{part}", f"{theirs}.{name}.conv", f"{theirs}.{name}.bn")
    yield from conv_norm("features.conv_last", f"blocks.{stage + 1}.0.conv", f"blocks.{stage + 1}.0.bn1")
    yield from conv_norm("head.hidden", "conv_head", "norm_head")
    yield LayerMapping("head.classifier", "classifier")


def dla(network: Network) -> Iterator[LayerMapping]:
    """``base_layer``, ``level{i}``, in its blocks ``conv1``, ``bn1``, ``conv2``, ``bn2``; ``fc``, a 1x1 convolution."""
    for ours, part in network.features.named_modules(prefix="features"):
        if not isinstance(part, ConvNormAct):
            continue
        # Our level holds its tree as a part; timm's level is the tree.
        theirs = ours.removeprefix("features.").replace(".tree.", ".")
        if theirs.endswith((".conv1", ".conv2", ".root.conv")):
            yield from conv_norm(ours, theirs, theirs.replace(".conv", ".bn"))
        else:
            yield from conv_norm(ours, f"{theirs}.0", f"{theirs}.1")
    yield LayerMapping("head.classifier", "fc", as_conv=True)


# Source: timm's note in its ``DlaTree``; the first authors' files, which CenterNet starts from, still have them.
_DEAD_PROJECTIONS = {
    f"level{level}.project.{leaf}": "a projection that nothing reads"
    for level in (3, 4)
    for leaf in ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")
}

LAYOUT = Layout(
    name="timm",
    dialects=("timm", "timm_tf", "timm_rw"),
    mappings={
        "mobilenet_v1": mobilenet_v1,
        "mobilenet_v2": mobilenet_v2,
        "mobilenet_v3": mobilenet_v3,
        "mobilenet_v4": mobilenet_v4,
        "dla": dla,
    },
    dropped={**BATCH_COUNTS, **_DEAD_PROJECTIONS},
)
