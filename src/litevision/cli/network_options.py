"""The options of the commands that look at a network, which say how it is built from its name."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from litevision.cli.fields import dialect_option, network_names
from litevision.cli.parser import option

if TYPE_CHECKING:
    from litevision.weights.any_model import NetworkForm


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The form of a network that is given by its name."""

    width: float = option(1.0, hidden=("--alpha", "--width-mult"), help="Width multiplier of the paper.")
    classes: int | None = option(
        None,
        hidden=("--num-classes",),
        help="Number of classes; 0 leaves out the classifier. 1000 unless given, of a detector 80.",
    )
    dialect: str | None = dialect_option("Library whose form of the network is built; the name's own unless given.")
    output_stride: int = option(
        32, choices=("8", "16", "32"), help="Input pixels per output pixel; less makes later strides dilation."
    )
    rows: str | None = option(
        None,
        metavar="ROWS",
        hidden=("--conv-defs",),
        help="Rows of the network's table to use instead, such as 'Conv(3, 2, 32), DepthSepConv(3, 1, 64)'.",
    )
    backbone: str | None = option(
        None, choices=network_names, help="Of the detector centernet: the network whose backbone it takes."
    )
    neck: str | None = option(
        None, choices=("light", "dlaup", "reshape"), help="Of the detector centernet: what stands on the backbone."
    )

    def form(self) -> "NetworkForm":
        """How the network is built."""
        from litevision.weights.any_model import NetworkForm

        return NetworkForm(
            width=self.width,
            classes=self.classes,
            dialect=self.dialect,
            output_stride=self.output_stride,
            rows=self.rows,
            backbone=self.backbone,
            neck=self.neck,
        )
