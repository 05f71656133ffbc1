"""Detectors out of graphs of others' making, whose normalisation is folded into the convolutions.

Such a graph has lost the names of its layers, not their order: its convolutions, in the order in which they run, are
compared with those of each detector that litevision knows.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from litevision.errors import WeightsMismatchError
from litevision.models.blocks import LEAK, ConvNormAct
from litevision.models.nanodet import BINS, FORMS, NanoDet, NanoDetConfig
from litevision.weights.convert.layout import Tensors
from litevision.weights.convolutions import ConvForm, FoldedGraph


def nanodet_in(graph: FoldedGraph, path: Path) -> tuple[NanoDetConfig, Tensors]:
    """Finds the NanoDet that ``graph`` computes, and its state for RGB input; the authors' takes BGR.

    Each normalisation of the network passes its input on and adds the bias, so that it computes what the graph does.

    Raises:
        WeightsMismatchError: its convolutions, or the slopes of its rectifiers, are those of none.
    """
    mismatches = []
    for name, form in FORMS.items():
        last = graph.convs[-1].form.shape if graph.convs else ()
        classes = last[0] - 4 * BINS if last and last[1:] == (form.channels, 1, 1) else 0
        config = NanoDetConfig(name, max(1, classes))
        network = config.build(device="meta")
        own = forms(network)
        mismatch = graph.mismatch(own, rectifiers(network), LEAK)
        if mismatch is None:
            return config, _state(network, [path for path, _ in own], graph)
        mismatches.append((*mismatch, name))
    fitting, what, name = max(mismatches, key=lambda mismatch: mismatch[0])
    raise WeightsMismatchError(
        f"{path}: none of the networks that litevision knows by their convolutions alone ({', '.join(FORMS)}). Of "
        f"{len(graph.convs)} convolutions the first {fitting} are {name}'s; {what}"
    )


def convolutions(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    """Yields the convolutions of a detector by their paths, in the order in which they run."""
    for path, part in network.named_modules():
        if isinstance(part, nn.Conv2d):
            yield path, part


def forms(network: nn.Module) -> list[tuple[str, ConvForm]]:
    """Returns the paths and forms of a detector's convolutions, in the order in which they run."""
    return [
        (path, ConvForm(tuple(conv.weight.shape), tuple(conv.stride), tuple(map(int, conv.padding)), conv.groups))
        for path, conv in convolutions(network)
    ]


def rectifiers(network: nn.Module) -> int:
    """Counts a detector's rectifiers, all of which leak by ``LEAK``."""
    return sum(isinstance(part, nn.LeakyReLU) for part in network.modules())


def _state(network: NanoDet, own: list[str], graph: FoldedGraph) -> Tensors:
    folded: Tensors = {}
    for path, conv in zip(own, graph.convs, strict=True):
        folded[f"{path}.weight"], folded[f"{path}.bias"] = torch.from_numpy(conv.weight), torch.from_numpy(conv.bias)
    stem = f"{own[0]}.weight"
    folded[stem] = folded[stem].flip(1)
    return unfolded(network, folded)


def unfolded(network: nn.Module, folded: Tensors) -> Tensors:
    """Gives each normalisation of ``network`` what makes it add the bias that was folded into its convolution.

    Args:
        folded: kernels and biases by their paths; a convolution without bias has one of zeros.

    Returns:
        the state of ``network``, as far as ``folded`` has it.
    """
    state = dict(folded)
    for name, part in network.named_modules():
        if isinstance(part, ConvNormAct) and isinstance(part.norm, nn.BatchNorm2d):
            weight = state.get(f"{name}.conv.weight")
            if weight is None:
                continue
            # The exporter leaves out biases that are all 0, as those of a backbone from scratch that was never trained.
            bias: Tensor = state.pop(f"{name}.conv.bias", torch.zeros(weight.shape[:1]))
            if part.conv.bias is not None:
                state[f"{name}.conv.bias"] = torch.zeros_like(bias)
            one = torch.ones_like(bias)
            state |= {
                f"{name}.norm.weight": one,
                f"{name}.norm.bias": bias,
                f"{name}.norm.running_mean": torch.zeros_like(bias),
                f"{name}.norm.running_var": one - part.norm.eps,  # plus eps it is 1 again
                f"{name}.norm.num_batches_tracked": torch.tensor(0),
            }
    return state
