"""The four experiments of the ShuffleNetV2 paper: networks of equal MACs in which one thing is varied.

Ten blocks in a row, on maps of 56 x 56, one image at a time, no activations but G4's. Widths are those of the paper's
CPU columns at x1; x2 and x4 double and quadruple them.

Source: arXiv:1807.11164, section 2, tables 1 to 4, and appendix figure 1.
Differs: eight groups at x1 have 184 channels for the paper's 180, which eight does not divide. What the paper leaves
open is read so: parallel fragments read one map and are added up; fragments have the paper's c, divided by the root of
their number and rounded; a bottleneck is ResNet's, c to c/4, 3 x 3, and back to c, with the last ReLU after the sum, on
maps of 56 x 56 like the others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil

from onnx import ModelProto

from litevision.errors import UnknownNameError
from litevision.lab.onnx_builder import INPUT, OnnxGraphBuilder

BLOCKS = 10
SIZE_PX = 56
SCALES = (1, 2, 4)

Widths = tuple[int, ...]
Speeds = tuple[float, float, float]
Block = Callable[[OnnxGraphBuilder, str, Widths], str]


@dataclass(frozen=True, slots=True)
class Variant:
    """One of an experiment's networks.

    Attributes:
        title: what sets it apart from the others.
        widths: its channels at x1; the first is what a block reads and writes.
        block: adds one block to a graph, after a map, at some widths.
        gpu: what the paper measured on a GTX 1080 Ti in batches a second, at x1, x2 and x4 of its GPU widths.
        cpu: and on a Snapdragon 810 (ARM), one thread, in images a second, at the widths here.
        multiple_of: to which its widths are rounded up.
    """

    title: str
    widths: Widths
    block: Block
    gpu: Speeds | None = None
    cpu: Speeds | None = None
    multiple_of: int = 1

    def widths_at(self, scale: int) -> Widths:
        """Its channels at x ``scale``."""
        return tuple(ceil(width * scale / self.multiple_of) * self.multiple_of for width in self.widths)

    def model(self, scale: int) -> ModelProto:
        """The whole network at x ``scale``."""
        widths = self.widths_at(scale)
        graph = OnnxGraphBuilder((1, widths[0], SIZE_PX, SIZE_PX))
        x = INPUT
        for _ in range(BLOCKS):
            x = self.block(graph, x, widths)
        return graph.model(x)


@dataclass(frozen=True, slots=True)
class Design:
    """A guideline's experiment; the guideline says that the first of its ``variants`` is the quickest.

    Attributes:
        name: G1 to G4.
        title: the guideline, in a few words.
        others: what the variants after the first have that it has not, in words.
        table: its number in the paper.
    """

    name: str
    title: str
    others: str
    table: int
    variants: tuple[Variant, ...]


def _pair(graph: OnnxGraphBuilder, x: str, widths: Widths) -> str:
    return graph.conv(graph.conv(x, widths[1]), widths[0])


def _grouped(groups: int) -> Block:
    return lambda graph, x, widths: graph.conv(x, widths[0], groups=groups)


def _series(fragments: int) -> Block:
    def block(graph: OnnxGraphBuilder, x: str, widths: Widths) -> str:
        for _ in range(fragments):
            x = graph.conv(x, widths[0])
        return x

    return block


def _parallel(fragments: int) -> Block:
    def block(graph: OnnxGraphBuilder, x: str, widths: Widths) -> str:
        total, *others = [graph.conv(x, widths[0]) for _ in range(fragments)]
        for other in others:
            total = graph.apply("Add", total, other)
        return total

    return block


def _bottleneck(relu: bool, shortcut: bool) -> Block:
    def activated(graph: OnnxGraphBuilder, x: str) -> str:
        return graph.apply("Relu", x) if relu else x

    def block(graph: OnnxGraphBuilder, x: str, widths: Widths) -> str:
        y = activated(graph, graph.conv(x, widths[1]))
        y = activated(graph, graph.conv(y, widths[1], kernel=(3, 3)))
        y = graph.conv(y, widths[0])
        return activated(graph, graph.apply("Add", y, x) if shortcut else y)

    return block


# fmt: off
DESIGNS = (
    # Table 1: two 1 x 1 convolutions a block, c1 to c2 and back.
    Design("G1", "equal channel widths", "unequal widths", 1, (
        #        c1:c2    (c1, c2)             GPU               ARM
        Variant("1:1",  (32, 32), _pair, (1480, 723, 232), (76.2, 21.7, 5.3)),
        Variant("1:2",  (22, 44), _pair, (1296, 586, 206), (72.9, 20.5, 5.1)),
        Variant("1:6",  (13, 78), _pair, (876, 489, 189), (69.1, 17.9, 4.6)),
        Variant("1:12", (9, 108), _pair, (748, 392, 163), (57.6, 15.1, 4.4)),
    )),
    # Table 2: one 1 x 1 convolution of g groups a block.
    Design("G2", "few groups", "groups", 2, (
        #        g        c                      GPU               CPU
        Variant("g = 1", (64,), _grouped(1), (2451, 1289, 437), (40.0, 10.2, 2.3)),
        Variant("g = 2", (90,), _grouped(2), (1725, 873, 341), (35.0, 9.5, 2.2)),
        Variant("g = 4", (128,), _grouped(4), (1026, 644, 338), (32.9, 8.7, 2.1)),
        Variant("g = 8", (180,), _grouped(8), (634, 445, 230), (27.8, 7.5, 1.8), 8),
    )),
    # Table 3: 1, 2 or 4 convolutions of 1 x 1 a block, one after another or side by side.
    Design("G3", "few fragments", "fragments", 3, (
        #                         c                     GPU               CPU
        Variant("1 fragment",   (64,), _series(1), (2446, 1274, 434), (40.2, 10.1, 2.3)),
        Variant("2 in series",  (45,), _series(2), (1790, 909, 336), (38.6, 10.1, 2.2)),
        Variant("4 in series",  (32,), _series(4), (752, 745, 349), (38.4, 10.1, 2.3)),
        Variant("2 in parallel", (45,), _parallel(2), (1537, 803, 320), (33.4, 9.1, 2.2)),
        Variant("4 in parallel", (32,), _parallel(4), (691, 572, 292), (35.0, 8.4, 2.1)),
    )),
    # Table 4: a bottleneck a block. The paper's rows begin with "ReLU yes, short-cut yes".
    Design("G4", "few element-wise operations", "ReLU or shortcut", 4, (
        #                   c, c/4          ReLU, short-cut       GPU                 CPU
        Variant("neither",         (32, 8), _bottleneck(False, False), (2842, 2376, 1782), (66.3, 20.2, 5.4)),
        Variant("ReLU",            (32, 8), _bottleneck(True, False), (2647, 2256, 1735), (61.9, 18.8, 5.2)),
        Variant("shortcut",        (32, 8), _bottleneck(False, True), (2672, 2121, 1458), (57.3, 18.2, 5.1)),
        Variant("ReLU + shortcut", (32, 8), _bottleneck(True, True), (2427, 2066, 1436), (56.7, 16.9, 5.0)),
    )),
)

# Not the paper's: powers of two, so that MACs are equal to the last one and no vector unit is left half empty.
ALIGNED = (
    Design("G1", "equal channel widths", "unequal widths", 1, (
        Variant("1:1",  (64, 64), _pair),
        Variant("1:4",  (32, 128), _pair),
        Variant("1:16", (16, 256), _pair),
    )),
    Design("G2", "few groups", "groups", 2, (
        Variant("g = 1",  (64,), _grouped(1)),
        Variant("g = 4",  (128,), _grouped(4)),
        Variant("g = 16", (256,), _grouped(16)),
    )),
    Design("G3", "few fragments", "fragments", 3, (
        Variant("1 fragment",   (64,), _series(1)),
        Variant("4 in series",  (32,), _series(4)),
        Variant("4 in parallel", (32,), _parallel(4)),
    )),
    Design("G4", "few element-wise operations", "ReLU or shortcut", 4, (
        Variant("neither",         (64, 16), _bottleneck(False, False)),
        Variant("ReLU",            (64, 16), _bottleneck(True, False)),
        Variant("shortcut",        (64, 16), _bottleneck(False, True)),
        Variant("ReLU + shortcut", (64, 16), _bottleneck(True, True)),
    )),
)
# fmt: on


def find_designs(names: Iterable[str] = (), *, aligned: bool = False) -> tuple[Design, ...]:
    """Find experiments by name, in upper or lower case; all four for no names.

    Args:
        aligned: those with powers of two for widths, which have no figures in the paper.

    Raises:
        UnknownNameError: not one of G1, G2, G3 and G4.
    """
    designs = {design.name: design for design in (ALIGNED if aligned else DESIGNS)}
    wanted = {name.upper(): name for name in names}
    for name, typed in wanted.items():
        if name not in designs:
            raise UnknownNameError.of("guideline", typed, designs)
    return tuple(design for name, design in designs.items() if not wanted or name in wanted)
