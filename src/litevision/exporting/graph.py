"""A network as an ONNX graph from raw images to answers."""

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from litevision import __version__
from litevision.errors import UsageError, reason_of
from litevision.exporting.portable import make_portable
from litevision.models.blocks import ConvNormAct
from litevision.models.pretrained import as_grey
from litevision.runtime.metadata import GREY, Normalisation
from litevision.tasks import task_of

INPUT = "images"
M = TypeVar("M", bound=nn.Module)


class FromRaw(nn.Module):
    """A network with its normalisation in front; it takes uint8 [N, H, W, 3] RGB, also where the network wants grey.

    Attributes:
        outputs: a name for each tensor that ``forward`` gives.
    """

    outputs: ClassVar[tuple[str, ...]]

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        self.is_grey = getattr(getattr(network, "config", None), "in_channels", 3) == 1
        if self.is_grey:
            normalisation = as_grey(normalisation)
            self.luma = nn.Buffer(torch.tensor(GREY)[:, None, None])
        mean, std = torch.tensor(normalisation.mean).double(), torch.tensor(normalisation.std).double()
        self.scale = nn.Buffer((1 / (255 * std)).float()[:, None, None])
        self.shift = nn.Buffer((-mean / std).float()[:, None, None])

    def answer(self, images: Tensor) -> Any:
        """What the network makes of raw images."""
        pixels = images.permute(0, 3, 1, 2).float()
        if self.is_grey:
            grey = (pixels * self.luma).sum(1, keepdim=True)
            return self.network(grey * self.scale[:1] + self.shift[:1])
        return self.network(pixels * self.scale + self.shift)

    def finish(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        """Adds to the exported ``graph`` what torch has no operator for."""
        return graph


def to_onnx(
    network: nn.Module,
    normalisation: Normalisation,
    size_hw: tuple[int, int],
    options: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """The graph of ``network`` with batch normalisation folded, any batch size and inputs of ``size_hw``.

    Args:
        network: a classifier or a detector; it is not changed.
        normalisation: goes into the graph.
        size_hw: height and width of the input, px.
        options: of the task's graph alone, as in `litevision.exporting.bundle.export_bundle`.

    Raises:
        UsageError: a size that the network cannot take.
    """
    task = task_of(network)
    return graph_of(task.raw_network(fold_batch_norm(network), normalisation, options or {}), size_hw)


def graph_of(module: FromRaw, size_hw: tuple[int, int]) -> onnx.ModelProto:
    """The graph of ``module``, which is a copy to be changed, for any batch size and inputs of ``size_hw``.

    Raises:
        UsageError: a size that the network cannot take.
    """
    module = module.eval()
    for part in module.modules():
        if isinstance(part, nn.ReLU | nn.Hardtanh | nn.LeakyReLU | nn.Hardswish):
            part.inplace = False  # the exporter would decompose it first, which takes half of its time
    example = torch.zeros(2, *size_hw, 3, dtype=torch.uint8)
    try:
        with torch.inference_mode():
            module(example)
    except RuntimeError as error:
        reason = reason_of(error)
        raise UsageError(f"the network cannot take images of {size_hw[0]}x{size_hw[1]} pixels: {reason}") from error
    with _quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            input_names=[INPUT],
            output_names=module.outputs,
            verbose=False,
        )
    assert program is not None  # None comes from the older exporter alone
    model = program.model_proto
    make_portable(model)
    model = module.finish(model)
    _strip_traces(model)
    return model


def fold_batch_norm(module: M) -> M:
    """A copy of ``module``, in eval mode, that computes the same without batch normalisation.

    Folded in float64, so that the weights are rounded once.
    """
    folded = copy.deepcopy(module).eval()  # the fusion takes no other mode
    for part in folded.modules():
        if isinstance(part, ConvNormAct) and isinstance(part.norm, nn.BatchNorm2d):
            dtype = part.conv.weight.dtype
            part.conv = fuse_conv_bn_eval(part.conv.double(), part.norm.double()).to(dtype)
            part.norm = nn.Identity()
    return folded.eval()


def _strip_traces(model: onnx.ModelProto) -> None:
    """Removes the exporter's notes, which name source files of the machine that it ran on."""
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    model.producer_name, model.producer_version = "litevision", __version__


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the exporter's log lines and its warnings about its own future."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
