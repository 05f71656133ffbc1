"""Building blocks that the families share. N C H W: batch, channels, height, width."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from litevision.models.dialect import Dialect, Padding

Activation = Literal["relu", "relu6", "leaky_relu", "hardswish", "none"]
ConvFactory = Callable[..., "ConvNormAct"]
LEAK = 0.1
"""The slope of ``leaky_relu`` below 0."""


def activation(name: Activation) -> nn.Module:
    """Returns the activation called ``name``; ``none`` is the identity."""
    made: dict[str, Callable[[], nn.Module]] = {
        "relu": partial(nn.ReLU, inplace=True),
        "relu6": partial(nn.ReLU6, inplace=True),
        "leaky_relu": partial(nn.LeakyReLU, LEAK, inplace=True),
        "hardswish": partial(nn.Hardswish, inplace=True),
        "none": nn.Identity,
    }
    return made[name]()


class SamePad(nn.Module):
    """Pads the input of an unpadded stride-2 layer as TensorFlow's SAME does.

    One row less at the top and left where a side is even. Written without branches, so that it can be traced and
    exported with sizes left open.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.reach = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        top = self.reach - 1 + x.shape[-2] % 2
        left = self.reach - 1 + x.shape[-1] % 2
        return F.pad(x, (left, self.reach, top, self.reach))

    def extra_repr(self) -> str:
        return f"kernel_size={2 * self.reach + 1}"


class ConvNormAct(nn.Module):
    """Convolution, batch normalisation, activation: [N, in, H, W] -> [N, out, H', W'].

    Args:
        padding: see ``Dialect``; stride-1 layers keep their size in each.
        norm: makes the normalisation from a channel count; None leaves it out.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        act: Activation = "relu",
        bias: bool = False,
        padding: Padding = "symmetric",
        norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        reach = kernel_size // 2
        pads_apart = stride > 1 and reach > 0 and padding != "symmetric"
        self.pad: nn.Module = nn.Identity()
        if pads_apart:
            apart = nn.ZeroPad2d((reach - 1, reach, reach - 1, reach))
            self.pad = SamePad(kernel_size) if padding == "same" else apart
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=0 if pads_apart else dilation * reach,
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        self.norm = nn.Identity() if norm is None else norm(out_channels)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.norm(self.conv(self.pad(x))))
        return y


def conv_factory(dialect: Dialect) -> ConvFactory:
    """Returns ``ConvNormAct`` with the conventions of ``dialect`` filled in."""
    return partial(ConvNormAct, padding=dialect.padding, norm=batch_norm(dialect), bias=dialect.conv_bias)


def batch_norm(dialect: Dialect) -> Callable[[int], nn.Module]:
    """Returns the batch normalisation of ``dialect``, to be made from a channel count."""
    return partial(nn.BatchNorm2d, eps=dialect.bn_eps, momentum=dialect.bn_momentum)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that the channel means decide: [N, C, H, W] -> the same shape.

    Source: MobileNetV3, arXiv:1905.02244, section 5.3.
    """

    def __init__(self, channels: int, squeeze_channels: int, *, act: Activation = "relu", gate: nn.Module) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze_channels, 1)
        self.act = activation(act)
        self.expand = nn.Conv2d(squeeze_channels, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.gate(self.expand(self.act(self.reduce(x.mean((2, 3), keepdim=True)))))
        return x * gate


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, squeeze-and-excite, project 1x1; plus its input where the shapes agree.

    Args:
        conv: makes each convolution with its normalisation.
        expand: whether the 1x1 expansion exists.
        se: the squeeze-and-excite on ``exp_channels``, or None.
        shortcut: what carries the input to the sum; by default its identity at stride 1 with equal channels.
            The stride that counts is the table's, so that dilation leaves the sum as it was: pass ``residual``.
    """

    def __init__(
        self,
        in_channels: int,
        exp_channels: int,
        out_channels: int,
        *,
        conv: ConvFactory,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        act: Activation = "relu6",
        expand: bool = True,
        se: nn.Module | None = None,
        residual: bool = False,
        shortcut: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.expand = conv(in_channels, exp_channels, 1, act=act) if expand else nn.Identity()
        self.depthwise = conv(
            exp_channels,
            exp_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=exp_channels,
            act=act,
        )
        self.se = se or nn.Identity()
        self.project = conv(exp_channels, out_channels, 1, act="none")
        self.residual = residual
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.se(self.depthwise(self.expand(x))))
        return self.shortcut(x) + y if self.residual else y


class ClassifierHead(nn.Module):
    """Global average pool, optional hidden layer, dropout, linear classifier: [N, C, H, W] -> [N, classes].

    Args:
        hidden_channels: width of a linear layer with ``act`` before the classifier; 0 for none.
        hidden: another layer in its place, [N, C] -> [N, hidden_channels], with its own activation.
        num_classes: 0 gives the features before the dropout, [N, num_features].
        spatial_squeeze: False keeps two axes of length 1, [N, 1, 1, classes], as slim can.
        hidden_bias: whether that layer has a bias.
        dropout: drops features; ``nn.Dropout`` of a pooled vector is what ``Dropout2d`` is on a 1x1 map.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        hidden_channels: int = 0,
        hidden: nn.Module | None = None,
        act: Activation = "none",
        dropout: float = 0.0,
        spatial_squeeze: bool = True,
        hidden_bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = hidden_channels or in_channels
        has_linear = hidden is None and hidden_channels > 0
        linear = nn.Linear(in_channels, hidden_channels, bias=hidden_bias) if has_linear else None
        self.hidden = linear or hidden or nn.Identity()
        self.act = activation(act) if has_linear else nn.Identity()
        self.dropout = nn.Dropout(dropout) if num_classes else nn.Identity()
        self.classifier = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.spatial_squeeze = spatial_squeeze

    def pool(self, x: Tensor) -> Tensor:
        """Computes the features before the classifier, [N, C, H, W] -> [N, num_features]."""
        pooled: Tensor = self.act(self.hidden(x.mean((2, 3))))
        return pooled

    def classify(self, pooled: Tensor) -> Tensor:
        """Computes the logits, [N, num_features] -> [N, classes]."""
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits if self.spatial_squeeze else logits[:, None, None, :]

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.pool(x))
