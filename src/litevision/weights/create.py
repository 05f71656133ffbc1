"""``create``: a network by name, from scratch or with pretrained weights, and a trained model back from its run."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Required, Unpack, cast, overload

from litevision.errors import UnknownNameError, UsageError, WeightsMismatchError
from litevision.models.centernet import CenterNet, CenterNetConfig, Neck
from litevision.models.factory import build, configure, family_options
from litevision.models.kinds import AnyDetector, AnyNetwork
from litevision.models.nanodet import FORMS, NanoDet, NanoDetConfig
from litevision.models.network import FeaturePyramid, Network
from litevision.models.rows import rows_of
from litevision.registry import CENTERNET, DETECTORS, is_network, resolve
from litevision.registry.weight_sets import find_weight_set
from litevision.weights.create_arguments import CreateArguments, DetectorArguments, NanoDetArguments
from litevision.weights.download import accept_unchecked
from litevision.weights.fill import fill_from, identify, require_classifier
from litevision.weights.foreign_words import FOREIGN_WORDS, LAST_MAP, translate
from litevision.weights.load import load_nanodet
from litevision.weights.source import WeightsRequest, open_source
from litevision.weights.trained import WeightsLike, open_trained, path_of

DEFAULT_CLASSES = 1000
DEFAULT_OBJECT_CLASSES = 80
_DEFAULT_BACKBONE = "mobilenet_v2"
_FAMILY_OPTIONS = (
    "depth_mult",
    "fixed_ends",
    "spatial_squeeze",
    "min_channels",
    "hidden_channels",
    "bottleneck_ratio",
    "depthwise_multiplier",
    "extra_conv",
    "reduced_tail",
    "dilated",
)


class _PyramidArguments(CreateArguments, total=False):
    features_only: Required[Literal[True]]


class _NetworkArguments(CreateArguments, total=False):
    features_only: Literal[False]


class Create:
    """Makes networks: ``create(name, ...)`` by name, ``create.from_run(run)`` from what litevision trained."""

    @overload  # a name that is known as a text alone may be any network's
    def __call__(  # type: ignore[overload-overlap]
        self, name: Literal["centernet"], **arguments: Unpack[DetectorArguments]
    ) -> CenterNet: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self,
        name: Literal["nanodet_m", "nanodet_plus_m", "nanodet_plus_m_x1_5"],
        **arguments: Unpack[NanoDetArguments],
    ) -> NanoDet: ...

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
        rows: Iterable[Any] | str | None = None,
        in_channels: int = 3,
        reset_classifier: bool = False,
        drop_background: bool | None = None,
        unchecked: bool = False,
        depth_mult: float | None = None,
        fixed_ends: bool | None = None,
        spatial_squeeze: bool | None = None,
        min_channels: int | None = None,
        hidden_channels: int | None = None,
        bottleneck_ratio: float | None = None,
        depthwise_multiplier: int | None = None,
        extra_conv: bool | None = None,
        reduced_tail: bool | None = None,
        dilated: bool | None = None,
        backbone: str | None = None,
        neck: Neck | None = None,
        neck_channels: int | None = None,
        head_channels: int | None = None,
        **foreign: object,
    ) -> Network | FeaturePyramid | CenterNet | NanoDet:
        """Creates a network by name, from scratch or with pretrained weights, in training mode.

        Other libraries' words for these arguments (``alpha``, ``in_chans``, ``conv_defs``, ``pretrained`` and so on)
        are taken where they mean the same; the types name ours alone.

        Args:
            name: ours (``mobilenet_v2``), or timm's, torchvision's or Keras' (``mobilenetv2_050``, ``MobileNetV2``);
                ``centernet`` for a detector on the backbone of any of them; ``nanodet_m``, ``nanodet_plus_m`` or
                ``nanodet_plus_m_x1_5`` for a detector as its authors built it.
            width_mult: the paper's alpha, above 0; with weights that say their width, 1 takes theirs.
            num_classes: length of the logits; 0 gives the pooled features [N, num_features]. By default as many as
                litevision's own output has, else 1000. Of a detector the kinds of objects, by default COCO's 80.
            dialect: the library whose form it has: ``torchvision``, ``timm``, ``timm_tf``, ``keras``, ``slim`` or
                ``tutorial``; by default the weights' own, else the first that exists for the network.
            weights: a weight set's name, a file, a URL, a bundle, a run or its folder; ``"default"`` takes the
                network's default set, ``"imagenet"`` Keras'. What is known of them is then ``network.pretrained``. Of
                ``centernet`` they fill the backbone, of a NanoDet all of it.
            output_stride: 8, 16 or 32: later strides become dilation.
            features_only: gives a ``FeaturePyramid``, whose ``feature_info`` declares channels and strides.
            out_indices: the levels of that pyramid; by default all.
            final_endpoint: stops at this endpoint; the network then gives that map.
            dropout: probability before the classifier; by default the dialect's own.
            rows: rows of the family's table to use instead: ``mobilenet_v2.Stage`` records, slim's or torchvision's
                own, plain sequences in that order, or text such as ``"Conv(3, 2, 32), DepthSepConv(3, 1, 64)"``.
            in_channels: channels of the input.
            reset_classifier: leaves the classifier randomly initialised where the file has none or other classes.
            drop_background: leaves out class 0 of the file; by default that of slim's 1001 for a network of 1000.
            unchecked: fetches a weight set though its full sha256 is not known (``WeightSet.is_checked``).
            depth_mult: MobileNetV2 and V3: multiplies each stage's repeats, rounded up (timm's 110d, 120d and 150d).
            fixed_ends: MobileNetV2: keeps the first and last layers as the table has them.
            spatial_squeeze: MobileNetV1: False gives logits [N, 1, 1, classes], as slim can.
            min_channels: MobileNetV1: no layer gets fewer, slim's ``min_depth``.
            hidden_channels: MobileNetV3: width of the layer before the classifier.
            bottleneck_ratio: ShuffleNetV2's tutorial form: width of the units' inner layers.
            depthwise_multiplier: MobileNetV1 in the dialect keras: channels of a depthwise convolution for each input,
                Keras' ``depth_multiplier``.
            extra_conv: MobileNetV1 in the dialect timm: one convolution more before the pool (timm's 100h).
            reduced_tail: MobileNetV3 in the dialect torchvision: half the channels behind the last stride.
            dilated: MobileNetV3 in the dialect torchvision: dilation in place of the last stride.
            backbone: of ``centernet``: the network whose backbone it takes; by default ``mobilenet_v2``.
            neck: of ``centernet``: ``light`` (by default), ``dlaup`` or ``reshape``, as `CenterNetConfig` says.
            neck_channels: of ``centernet``: channels of the map that ``light`` gives.
            head_channels: of ``centernet``: of the hidden layer in each head, 0 for none.

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
        if foreign:
            own = _changed(locals())
            if unknown := [word for word in foreign if word not in FOREIGN_WORDS]:
                raise _unknown_argument(unknown[0], name)
            name, meant = translate(name, own, foreign)
            made_of_ours: Network | FeaturePyramid | CenterNet | NanoDet = self(name, **{**own, **meant})
            return made_of_ours
        if name.lower() in FORMS:
            for argument in _changed(locals()).keys() - NanoDetArguments.__annotations__.keys():
                raise UsageError(
                    f"{argument} builds another network, and {name} is as its authors built it; leave it out"
                )
            if weights is None:
                count = DEFAULT_OBJECT_CLASSES if num_classes is None else num_classes
                return NanoDetConfig(name.lower(), count, in_channels).build()
            with accept_unchecked(unchecked):
                return load_nanodet(weights, name.lower(), num_classes, in_channels).train()
        is_detector = name.lower() == CENTERNET
        detector = {"neck": neck, "neck_channels": neck_channels, "head_channels": head_channels}
        detector = {key: value for key, value in detector.items() if value is not None}
        if is_detector:
            unfit = {"features_only", "out_indices", "final_endpoint", "dropout", "reset_classifier", "drop_background"}
            for argument in unfit & _changed(locals()).keys():
                raise UsageError(f"{argument} belongs to a classifier, and {name} is a detector; leave it out")
            name = backbone or _DEFAULT_BACKBONE
        elif detector or backbone is not None:
            wrong = next(iter(detector), "backbone")
            raise UsageError(f'{wrong} belongs to a detector: create("{CENTERNET}", backbone="{name}", ...)')
        given = {
            "depth_mult": depth_mult,
            "fixed_ends": fixed_ends,
            "spatial_squeeze": spatial_squeeze,
            "min_channels": min_channels,
            "hidden_channels": hidden_channels,
            "bottleneck_ratio": bottleneck_ratio,
            "depthwise_multiplier": depthwise_multiplier,
            "extra_conv": extra_conv,
            "reduced_tail": reduced_tail,
            "dilated": dilated,
        }
        options = {key: value for key, value in given.items() if value is not None}
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
            if not (features_only or is_detector):
                require_classifier(source)
            found = identify(source, request, variant)
            base = found.config
            if source.trained is not None and num_classes is None and not is_detector:
                num_classes = base.num_classes
        config = replace(
            base,
            num_classes=DEFAULT_CLASSES if num_classes is None or is_detector else num_classes,
            in_channels=in_channels,
            output_stride=base.output_stride if output_stride is None else output_stride,
            dropout=base.dropout if dropout is None else dropout,
            rows=base.rows if rows is None else rows_of(base.architecture, rows),
            options={**base.options, **options},
        )
        if is_detector:
            count = DEFAULT_OBJECT_CLASSES if num_classes is None else num_classes
            centernet = CenterNet(CenterNetConfig(config, count, **cast("Any", detector)))
            if source is not None and found is not None:
                fill_from(centernet.backbone, source, found)
            return centernet
        if final_endpoint == LAST_MAP:
            final_endpoint = build(config, device="meta").endpoints[-1].name
        network = build(replace(config, final_endpoint=final_endpoint))
        made = FeaturePyramid(network, out_indices) if features_only else network
        if source is not None and found is not None:
            fill_from(made, source, found, reset_classifier=reset_classifier, drop_background=drop_background)
        return made

    @overload
    def from_run(self, run: WeightsLike, *, task: Literal["classification"]) -> Network: ...

    @overload
    def from_run(self, run: WeightsLike, *, task: Literal["detection"]) -> AnyDetector: ...

    @overload
    def from_run(self, run: WeightsLike, *, task: None = None) -> AnyNetwork: ...

    def from_run(self, run: WeightsLike, *, task: str | None = None) -> AnyNetwork:
        """Creates the network that a run trained, with its weights, in training mode.

        Args:
            run: a run or its folder, ``best.ckpt`` or ``last.ckpt`` in it, a bundle's ``.onnx`` file, or the name of a
                bundle that comes with the package.
            task: ``classification`` or ``detection``, where only one of them will do; it also fixes the return type.

        Returns:
            A ``Network`` for classification, a ``CenterNet`` or ``NanoDet`` for detection; ``pretrained`` has its
            labels, preprocessing, licence and source.

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


def _changed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of ``create`` among ``values`` that are not as by default."""
    parameters = inspect.signature(Create.__call__).parameters.values()
    return {
        it.name: values[it.name]
        for it in parameters
        if it.kind == it.KEYWORD_ONLY and values[it.name] is not it.default
    }


def _unknown_argument(argument: str, name: str) -> UnknownNameError:
    """Returns the error for an argument that nobody knows; it lists all that ``name`` takes."""
    if name.lower() in DETECTORS:
        known = list((DetectorArguments if name.lower() == CENTERNET else NanoDetArguments).__annotations__)
    else:
        others = {*_FAMILY_OPTIONS} - {*family_options(resolve(name).architecture)}
        known = [word for word in ("features_only", *CreateArguments.__annotations__) if word not in others]
    return UnknownNameError.of(f"argument of create for {name}:", argument, known)
