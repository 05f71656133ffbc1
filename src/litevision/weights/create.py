"""``create``: a network by name, from scratch or with pretrained weights, and a trained model back from its run."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Required, TypedDict, Unpack, overload

from litevision.errors import UnknownNameError, UsageError, WeightsMismatchError
from litevision.models.centernet import CenterNet
from litevision.models.factory import build, configure, family_options
from litevision.models.network import FeaturePyramid, Network
from litevision.registry import is_network, resolve
from litevision.registry.weight_sets import find_weight_set
from litevision.weights.download import accept_unchecked
from litevision.weights.load import fill_from, identify, require_classifier
from litevision.weights.source import WeightsRequest, open_source
from litevision.weights.trained import WeightsLike, open_trained, path_of

DEFAULT_CLASSES = 1000
_FAMILY_OPTIONS = ("depth_mult", "fixed_ends", "spatial_squeeze", "hidden_channels", "bottleneck_ratio")

FOREIGN_WORDS = {
    # word                      whose          what stands for it here
    "pretrained":              ("timm",        'weights="default"'),
    "pretrained_cfg":          ("timm",        "weights=, a weight set's name"),
    "checkpoint_path":         ("timm",        "weights=, the file"),
    "in_chans":                ("timm",        "in_channels="),
    "drop_rate":               ("timm",        "dropout="),
    "global_pool":             ("timm",        "num_classes=0, which gives the pooled features"),
    "drop_path_rate":          ("timm",        "nothing: these networks drop no paths"),
    "scriptable":              ("timm",        "nothing: litevision.export makes the file to deploy"),
    "exportable":              ("timm",        "nothing: litevision.export makes the file to deploy"),
    "progress":                ("torchvision", "nothing: a download shows its progress on a terminal"),
    "inverted_residual_setting": ("torchvision", "rows="),
    "stages_out_channels":     ("torchvision", "rows="),
    "dilated":                 ("torchvision", "output_stride="),
    "norm_layer":              ("torchvision", "dialect=, which brings its batch normalisation"),
    "alpha":                   ("Keras",       "width_mult="),
    "depth_multiplier":        ("Keras",       "width_mult=, or depth_mult= for timm's deeper MobileNetV2"),
    "include_top":             ("Keras",       "num_classes=0 for pooled features, or features_only=True for maps"),
    "pooling":                 ("Keras",       "num_classes=0, which gives the pooled features"),
    "classes":                 ("Keras",       "num_classes="),
    "input_shape":             ("Keras",       "nothing: any size fits; in_channels= where the input is not RGB"),
    "input_tensor":            ("Keras",       "nothing: call the network with its input"),
    "minimalistic":            ("Keras",       "the name mobilenet_v3_large_minimalistic"),
    "classifier_activation":   ("Keras",       "nothing: the network gives logits, an exported bundle probabilities"),
    "n_classes":               ("others",      "num_classes="),
    "width":                   ("the command line", "width_mult="),
}  # fmt: skip
"""Arguments that users of other libraries type, with what stands for them here."""


class CreateArguments(TypedDict, total=False):
    """The keyword arguments of ``create`` beside ``features_only``; their meanings stand there."""

    width_mult: float
    num_classes: int | None
    dialect: str | None
    weights: WeightsLike | None
    output_stride: int | None
    out_indices: Sequence[int] | None
    final_endpoint: str | None
    dropout: float | None
    rows: Sequence[Any] | None
    in_channels: int
    reset_classifier: bool
    drop_background: bool | None
    unchecked: bool
    depth_mult: float | None
    fixed_ends: bool | None
    spatial_squeeze: bool | None
    hidden_channels: int | None
    bottleneck_ratio: float | None


class _PyramidArguments(CreateArguments, total=False):
    features_only: Required[Literal[True]]


class _NetworkArguments(CreateArguments, total=False):
    features_only: Literal[False]


class Create:
    """Makes networks: ``create(name, ...)`` by name, ``create.from_run(run)`` from what litevision trained."""

    @overload
    def __call__(self, name: str, **arguments: Unpack[_PyramidArguments]) -> FeaturePyramid: ...

    @overload
    def __call__(self, name: str, **arguments: Unpack[_NetworkArguments]) -> Network: ...

    def __call__(
        self,
        name: str,
        *,
        width_mult: float = 1.0,
        num_classes: int | None = None,
        dialect: str | None = None,
        weights: WeightsLike | None = None,
        output_stride: int | None = None,
        features_only: bool = False,
        out_indices: Sequence[int] | None = None,
        final_endpoint: str | None = None,
        dropout: float | None = None,
        rows: Sequence[Any] | None = None,
        in_channels: int = 3,
        reset_classifier: bool = False,
        drop_background: bool | None = None,
        unchecked: bool = False,
        depth_mult: float | None = None,
        fixed_ends: bool | None = None,
        spatial_squeeze: bool | None = None,
        hidden_channels: int | None = None,
        bottleneck_ratio: float | None = None,
        **unknown: object,
    ) -> Network | FeaturePyramid:
        """Creates a network by name, from scratch or with pretrained weights, in training mode.

        Args:
            name: ours (``mobilenet_v2``), or timm's, torchvision's or Keras' (``mobilenetv2_050``, ``MobileNetV2``).
            width_mult: the paper's alpha, above 0; with weights that say their width, 1 takes theirs.
            num_classes: length of the logits; 0 gives the pooled features [N, num_features]. By default as many as
                litevision's own output has, else 1000.
            dialect: the library whose form it has: ``torchvision``, ``timm``, ``timm_tf``, ``keras``, ``slim`` or
                ``tutorial``; by default the weights' own, else the first that exists for the network.
            weights: a weight set's name, a file, a URL, a bundle, a run or its folder; ``"default"`` takes the
                network's default set. What is known of them is then ``network.pretrained``.
            output_stride: 8, 16 or 32: later strides become dilation.
            features_only: gives a ``FeaturePyramid``, whose ``feature_info`` declares channels and strides.
            out_indices: the levels of that pyramid; by default all.
            final_endpoint: stops at this endpoint; the network then gives that map.
            dropout: probability before the classifier; by default the dialect's own.
            rows: rows of the family's table to use instead, for example ``mobilenet_v2.Stage`` records.
            in_channels: channels of the input.
            reset_classifier: leaves the classifier randomly initialised where the file has none or other classes.
            drop_background: leaves out class 0 of the file; by default that of slim's 1001 for a network of 1000.
            unchecked: fetches a weight set though its full sha256 is not known (``WeightSet.is_checked``).
            depth_mult: MobileNetV2: multiplies each stage's repeats, rounded up (timm's 110d and 120d).
            fixed_ends: MobileNetV2: keeps the first and last layers as the table has them.
            spatial_squeeze: MobileNetV1: False gives logits [N, 1, 1, classes], as slim can.
            hidden_channels: MobileNetV3: width of the layer before the classifier.
            bottleneck_ratio: ShuffleNetV2's tutorial form: width of the units' inner layers.

        Raises:
            UnknownNameError: no such name, dialect, endpoint or argument; the message has the nearest ones, and for
                an argument of timm, torchvision or Keras what it is called here.
            UsageError: a value that cannot work.
            WeightsError: weights that cannot be used.

        Example:
            >>> import litevision
            >>> network = litevision.create("mobilenet_v2", width_mult=0.5, num_classes=10)
            >>> network.num_features
            1280
        """
        given = {
            "depth_mult": depth_mult,
            "fixed_ends": fixed_ends,
            "spatial_squeeze": spatial_squeeze,
            "hidden_channels": hidden_channels,
            "bottleneck_ratio": bottleneck_ratio,
        }
        options = {key: value for key, value in given.items() if value is not None}
        if unknown:
            raise _unknown_argument(next(iter(unknown)), name)
        if out_indices is not None and not features_only:
            raise UsageError("out_indices picks levels of a pyramid: pass features_only=True with it")
        if not is_network(name) and "." in name:
            weight_set = find_weight_set(name)
            raise UnknownNameError(
                f"{name!r} is a weight set, and create wants a network's name: "
                f'create("{weight_set.architecture}", weights="{weight_set.name}")'
            )
        variant = resolve(name, dialect, width_mult)
        source = found = None
        base = configure(name, width_mult=width_mult, dialect=dialect)
        if weights is not None:
            request = WeightsRequest.of(name, dialect, None if width_mult == 1.0 else width_mult)
            with accept_unchecked(unchecked):
                source = open_source(weights, request, name)
            if not features_only:
                require_classifier(source)
            found = identify(source, request, variant)
            base = found.config
            if source.trained is not None and num_classes is None:
                num_classes = base.num_classes
        network = build(
            replace(
                base,
                num_classes=DEFAULT_CLASSES if num_classes is None else num_classes,
                in_channels=in_channels,
                final_endpoint=final_endpoint,
                output_stride=base.output_stride if output_stride is None else output_stride,
                dropout=base.dropout if dropout is None else dropout,
                rows=base.rows if rows is None else tuple(rows),
                options={**base.options, **options},
            )
        )
        made = FeaturePyramid(network, out_indices) if features_only else network
        if source is not None and found is not None:
            fill_from(made, source, found.layout, reset_classifier=reset_classifier, drop_background=drop_background)
        return made

    @overload
    def from_run(self, run: WeightsLike, *, task: Literal["classification"]) -> Network: ...

    @overload
    def from_run(self, run: WeightsLike, *, task: Literal["detection"]) -> CenterNet: ...

    @overload
    def from_run(self, run: WeightsLike, *, task: None = None) -> Network | CenterNet: ...

    def from_run(self, run: WeightsLike, *, task: str | None = None) -> Network | CenterNet:
        """Creates the network that a run trained, with its weights, in training mode.

        Args:
            run: a run or its folder, ``best.ckpt`` or ``last.ckpt`` in it, a bundle's ``.onnx`` file, or the name of a
                bundle that comes with the package.
            task: ``classification`` or ``detection``, where only one of them will do; it also fixes the return type.

        Returns:
            A ``Network`` for classification, a ``CenterNet`` for detection; ``pretrained`` has its labels,
            preprocessing, licence and source.

        Raises:
            UsageError: not the output of a training or an export.
            WeightsMismatchError: it was trained for another task.
            FileMissingError, WeightsError, BundleError: it is not there, or cannot be read.
        """
        trained = open_trained(run)
        if trained is None:
            raise UsageError(
                f"{path_of(run)} is no run, checkpoint of a run, or bundle; for other weights use "
                "create(name, weights=...) or load_weights"
            )
        if task not in (None, trained.pretrained.task):
            raise WeightsMismatchError(f"{trained.label} was trained for {trained.pretrained.task}, expected {task}")
        return trained.network().train()


create = Create()


def _unknown_argument(argument: str, name: str) -> UnknownNameError:
    """Returns the error for an argument that ``create`` does not have; it names ours for another library's."""
    if argument in FOREIGN_WORDS:
        library, ours = FOREIGN_WORDS[argument]
        return UnknownNameError(f"create has no {argument!r}, a word of {library}; here it is {ours}")
    common = [
        key
        for key, kind in inspect.signature(Create.__call__).parameters.items()
        if kind.kind == kind.KEYWORD_ONLY and key not in _FAMILY_OPTIONS
    ]
    known = [*common, *family_options(resolve(name).architecture)]
    return UnknownNameError.of(f"argument of create for {name}:", argument, known)
