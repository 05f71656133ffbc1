"""Dialects: the numeric conventions in which published implementations of one network differ."""

from dataclasses import dataclass
from typing import Literal

Padding = Literal["symmetric", "same", "bottom_right"]
Initialisation = Literal["kaiming", "fan_out", "glorot", "truncated", "torch"]


@dataclass(frozen=True)
class Dialect:
    """The conventions that every layer of a network shares.

    A dialect is named after its origin and never guessed from a file. Rules of one family alone (how V3 scales its
    expansion, say) stand beside that family's table.

    Attributes:
        padding: how a stride-2 layer is padded. ``symmetric``: k // 2 on every side, as torch does. ``same``:
            TensorFlow's SAME, which depends on the input's size and puts the odd row at the bottom and right.
            ``bottom_right``: one row more at the bottom and right at every size, which Keras does in MobileNetV1.
            Stride-1 layers are padded alike in all three.
        bn_eps: added to the variance in batch normalisation.
        bn_momentum: weight of the new batch in the running statistics (torch's convention, 1 minus Keras').
        conv_bias: whether convolutions that batch normalisation follows carry a bias of their own.
        initialisation: how the weights of a k x k kernel from c to n channels are drawn. ``kaiming``: normal, standard
            deviation sqrt(2 / (k k n)), of linear layers 0.01. ``fan_out``: the same, n counting as 1 in depthwise
            kernels; linear layers uniform within 1 / sqrt(n), but V3's hidden layer as a 1x1 kernel. ``glorot``:
            uniform within sqrt(6 / (k k (c + n))), n counting as 1 in depthwise kernels. ``truncated``: normal, 0.09,
            without what lies beyond 0.18. ``torch``: uniform within 1 / sqrt(k k c), c counting as 1 in depthwise
            kernels, and biases alike. All other biases begin at 0, and batch normalisation at scale 1 and shift 0.
    """

    name: str
    padding: Padding = "symmetric"
    bn_eps: float = 1e-5
    bn_momentum: float = 0.1
    conv_bias: bool = False
    initialisation: Initialisation = "kaiming"


def make_divisible(channels: float, divisor: int = 8, *, min_value: int | None = None) -> int:
    """Returns the multiple of ``divisor`` nearest to ``channels``, never below 90 % of it nor below ``min_value``.

    Source: ``_make_divisible`` in TF-slim's mobilenet, which torchvision, timm and Keras all follow.
    """
    rounded = max(min_value or divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
