"""The words of slim, Keras, torchvision, timm and the tutorials for what ``create`` takes, and what they are here.

Where the meaning is the same, the word is taken; where it is not, the error says our word. A value that changes nothing
(``None``, a default) is taken in silence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

from litevision.errors import UnknownNameError, UsageError
from litevision.registry import ALIASES, ARCHITECTURES, resolve

LAST_MAP = "<last>"
"""As ``final_endpoint``: the last one, for the map that a headless network of Keras gives."""


class Given(NamedTuple):
    """A call of ``create`` in other words: the network's name, its arguments by our words, and theirs."""

    name: str
    ours: Mapping[str, Any]
    theirs: Mapping[str, Any]

    @property
    def architecture(self) -> str:
        """The network's name here; of a detector, its backbone's."""
        return resolve(str(self.ours.get("backbone", "mobilenet_v2")) if self.is_detector else self.name).architecture

    @property
    def is_detector(self) -> bool:
        """Whether it is CenterNet."""
        return self.name.lower() == "centernet"

    @property
    def dialect(self) -> str | None:
        """The dialect that was asked for, be it by the name."""
        brought = ALIASES[self.name.lower()].dialect if self.name.lower() in ALIASES else None
        asked: str | None = self.ours.get("dialect")
        return asked or brought


Taken = dict[str, Any] | None
"""Our arguments; None where the meaning is another."""


class Word(NamedTuple):
    """A word of another library.

    Attributes:
        library: whose.
        ours: what stands for it here.
        take: gives our arguments for its value.
        neutral: values that change nothing, beside None.
    """

    library: str
    ours: str
    take: Callable[[Any, Given], Taken] = lambda value, given: None
    neutral: tuple[object, ...] = ()


def _as(word: str) -> Callable[[Any, Given], Taken]:
    return lambda value, given: {word: value}


def _pretrained(value: Any, given: Given) -> Taken:
    return {"weights": "default"} if value is True else {}


def _kept(value: Any, given: Given) -> Taken:
    return {"dropout": round(1 - value, 12)} if isinstance(value, int | float) else None


def _depth_multiplier(value: Any, given: Given) -> Taken:
    """Slim's is the width; Keras' MobileNet has one of its depthwise layers, by whole numbers."""
    if not isinstance(value, int | float):
        return None
    if given.dialect == "keras":
        whole = given.architecture == "mobilenet_v1" and float(value) == int(value) >= 1
        return {"depthwise_multiplier": int(value)} if whole else None
    is_width = given.dialect == "slim" or float(value) != int(value)
    return {"width_mult": float(value)} if is_width else None


def _input_shape(value: Any, given: Given) -> Taken:
    if not isinstance(value, Sequence) or len(value) not in (2, 3):
        return None
    if len(value) == 2:
        return {}
    channels = [side for side in (value[-1], value[0]) if isinstance(side, int) and 1 <= side <= 4]
    return {"in_channels": channels[0]} if channels else None


def _include_top(value: Any, given: Given) -> Taken:
    if value or given.ours.get("features_only"):
        return {}
    pooling = given.theirs.get("pooling")
    if pooling is None:
        return {"final_endpoint": LAST_MAP}
    return {"num_classes": 0, **({"hidden_channels": 0} if given.architecture.startswith("mobilenet_v3") else {})}


def _pooling(value: Any, given: Given) -> Taken:
    if given.theirs.get("include_top", True):
        return {}  # Keras reads it without the top alone
    return {} if value == "avg" else None


def _global_pool(value: Any, given: Given) -> Taken:
    return {"final_endpoint": LAST_MAP} if value == "" else None


def _minimalistic(value: Any, given: Given) -> Taken:
    name = given.architecture if given.architecture.endswith("_minimalistic") else f"{given.architecture}_minimalistic"
    return {"name": name} if value is True and name in ARCHITECTURES else None


def _scale_factor(value: Any, given: Given) -> Taken:
    name = f"shufflenet_v2_x{float(value):.1f}".replace(".", "_") if isinstance(value, int | float) else ""
    fits = given.architecture.startswith("shufflenet_v2") and given.architecture in (name, "shufflenet_v2_x1_0")
    return {"name": name} if fits and name in ARCHITECTURES else None


def _shuffle_units(value: Any, given: Given) -> Taken:
    """The tutorial counts the units that do not stride."""
    return _stages(given, units=[units + 1 for units in value])


def _stages_repeats(value: Any, given: Given) -> Taken:
    return _stages(given, units=value, channels=given.theirs.get("stages_out_channels"))


def _stages_out_channels(value: Any, given: Given) -> Taken:
    return {} if "stages_repeats" in given.theirs else _stages(given, channels=value)


def _stages(given: Given, units: Sequence[int] | None = None, channels: Sequence[int] | None = None) -> Taken:
    """ShuffleNetV2's rows; torchvision's channels are those of the stem, the stages and conv5, of which two stay."""
    if not given.architecture.startswith("shufflenet_v2"):
        return None
    from litevision.models.shufflenet_v2 import SCALES, STEM_CHANNELS

    scale = _scale_factor(given.theirs.get("scale_factor", 1.0), given) or {"name": given.architecture}
    table = SCALES[scale["name"]]
    if channels is not None:
        if len(channels) != len(table.stages) + 2 or (channels[0], channels[-1]) != (
            STEM_CHANNELS,
            table.conv5_channels,
        ):
            return None
        channels = channels[1:-1]
    counts, outs = (units or [it.units for it in table.stages]), (channels or [it.out_channels for it in table.stages])
    if len(counts) != len(outs):
        return None
    return {"rows": [replace(table.stages[0], units=n, out_channels=c) for n, c in zip(counts, outs, strict=True)]}


def _expansion(value: Any, given: Given) -> Taken:
    """The expansion factor of every stage of MobileNetV2 but the first."""
    if given.architecture != "mobilenet_v2" or not isinstance(value, int):
        return None
    from litevision.models.mobilenet_v2 import STAGES

    return {"rows": [row if row.expand_ratio == 1 else replace(row, expand_ratio=value) for row in STAGES]}


def _min_depth(value: Any, given: Given) -> Taken:
    return {"min_channels": value} if given.architecture == "mobilenet_v1" else None


def _heads(value: Any, given: Given) -> Taken:
    """CenterNet's heatmap has a channel for each class; width, height and offset have two, as here."""
    is_ours = isinstance(value, Mapping) and {"hm"} < set(value) <= {"hm", "wh", "reg"} and value["wh"] == 2
    return {"num_classes": value["hm"]} if is_ours and given.is_detector else None


def _head_channels(value: Any, given: Given) -> Taken:
    return {"head_channels": value} if given.is_detector else None


def _file(value: Any, given: Given) -> Taken:
    return {"weights": value} if value else {}


_LOGITS = "nothing: the network gives logits, forward_endpoints also predictions, an exported bundle probabilities"
_CENTERNET = 'create("centernet", backbone=..., num_classes=...), whose heads are heatmap, size and offset'
_CLASSES = Word("others", "num_classes=", _as("num_classes"))
_DEPLOY = Word("timm", "nothing: litevision.export makes the file to deploy", neutral=(False,))
_BN = Word("timm", "dialect=, which brings its batch normalisation")

# fmt: off
FOREIGN_WORDS = {
    # word                      whose          what stands for it here, and how it is taken
    "pretrained":              Word("timm",        'weights="default"', _pretrained),
    "pretrained_cfg":          Word("timm",        "weights=, a weight set's name", _as("weights")),
    "pretrained_cfg_overlay":  Word("timm",        "nothing: network.pretrained has what is known of the weights"),
    "checkpoint_path":         Word("timm",        "weights=, the file", _file),
    "cache_dir":               Word("timm",        "$LITEVISION_CACHE"),
    "in_chans":                Word("timm",        "in_channels=", _as("in_channels")),
    "drop_rate":               Word("timm",        "dropout=", _as("dropout")),
    "global_pool":             Word("timm",        "num_classes=0, which gives the averages of the last map", _global_pool, ("avg", True, False)),
    "drop_path_rate":          Word("timm",        "nothing: these networks drop no paths", neutral=(0,)),
    "channel_multiplier":      Word("timm",        "width_mult=", _as("width_mult")),
    "scriptable":              _DEPLOY,
    "exportable":              _DEPLOY,
    "no_jit":                  _DEPLOY,
    "act_layer":               Word("timm",        "dialect=, which brings its activations"),
    "bn_eps":                  _BN,
    "bn_momentum":             _BN,
    "bn_tf":                   Word("timm",        'dialect="timm_tf"', neutral=(False,)),
    "pad_type":                Word("timm",        'dialect="timm_tf", "keras" or "slim" for padding by SAME', neutral=("",)),
    "progress":                Word("torchvision", "nothing: a download shows its progress on a terminal", neutral=(True, False)),
    "inverted_residual_setting": Word("torchvision", "rows=", _as("rows")),
    "stages_repeats":          Word("torchvision", "rows=", _stages_repeats),
    "stages_out_channels":     Word("torchvision", "rows=", _stages_out_channels),
    "round_nearest":           Word("torchvision", "nothing: channels are multiples of 8, as published", neutral=(8,)),
    "last_channel":            Word("torchvision", "hidden_channels=", _as("hidden_channels")),
    "block":                   Word("torchvision", "nothing: a network's blocks are those of its paper, see dialect="),
    "inverted_residual":       Word("torchvision", "nothing: a network's blocks are those of its paper, see dialect="),
    "norm_layer":              Word("torchvision", "dialect=, which brings its batch normalisation"),
    "pretrained_backbone":     Word("torchvision", 'weights="default"', neutral=(False,)),
    "weights_backbone":        Word("torchvision", _CENTERNET),
    "alpha":                   Word("Keras",       "width_mult=", _as("width_mult")),
    "include_top":             Word("Keras",       "num_classes=0 for pooled features, or features_only=True for maps", _include_top),
    "pooling":                 Word("Keras",       "num_classes=0, which gives the averages of the last map", _pooling),
    "classes":                 Word("Keras",       "num_classes=", _as("num_classes")),
    "input_shape":             Word("Keras",       "nothing: any size fits; in_channels= where the input is not RGB", _input_shape),
    "input_tensor":            Word("Keras",       "nothing: call the network with its input"),
    "minimalistic":            Word("Keras",       "the name mobilenet_v3_large_minimalistic or mobilenet_v3_small_minimalistic", _minimalistic, (False,)),
    "dropout_rate":            Word("Keras",       "dropout=", _as("dropout")),
    "classifier_activation":   Word("Keras",       _LOGITS, neutral=("linear",)),
    "include_preprocessing":   Word("Keras",       "nothing: network.pretrained and an exported bundle have the preprocessing", neutral=(False,)),
    "depth_multiplier":        Word("slim",        "width_mult=, slim's meaning (as alpha), or depthwise_multiplier=, Keras'", _depth_multiplier, (1,)),
    "min_depth":               Word("slim",        "min_channels= of mobilenet_v1", _min_depth),
    "conv_defs":               Word("slim",        "rows=", _as("rows")),
    "prediction_fn":           Word("slim",        _LOGITS),
    "dropout_keep_prob":       Word("slim",        "dropout=, 1 minus that", _kept),
    "is_training":             Word("slim",        "network.eval() or network.train()", neutral=(True,)),
    "reuse":                   Word("slim",        "nothing: a module keeps its weights", neutral=(False,)),
    "scope":                   Word("slim",        "nothing: the names of a module's weights are its own", lambda value, given: {}),
    "use_explicit_padding":    Word("slim",        'dialect="timm", which pads alike on all sides', neutral=(False,)),
    "num_shuffle_units":       Word("the tutorial", "rows=", _shuffle_units),
    "scale_factor":            Word("the tutorial", "the name shufflenet_v2_x0_5, _x1_0, _x1_5 or _x2_0", _scale_factor),
    "load_model":              Word("the tutorial", "weights=, the file", _file),
    "t":                       Word("the tutorial", "rows=, whose first number it is", _expansion),
    "heads":                   Word("the tutorial", _CENTERNET, _heads),
    "head_conv":               Word("the tutorial", 'head_channels= of create("centernet", ...)', _head_channels),
    "down_ratio":              Word("the tutorial", "nothing: CenterNet's maps have a cell for 4 x 4 pixels", neutral=(4,)),
    "n_class":                 _CLASSES,
    "n_classes":               _CLASSES,
    "num_class":               _CLASSES,
    "class_num":               _CLASSES,
    "shape":                   Word("the tutorial", "nothing: any size fits; in_channels= where the input is not RGB", _input_shape),
    "width":                   Word("the command line", "width_mult=", _as("width_mult")),
    "width_multiplier":        Word("others",      "width_mult=", _as("width_mult")),
}
# fmt: on
"""Arguments that users of other libraries type, with what stands for them here."""


def translate(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the name and the arguments that ``theirs`` mean, words of `FOREIGN_WORDS`.

    Args:
        ours: the arguments that were given in our words.

    Raises:
        UnknownNameError: a value whose meaning is another here; the message has our word.
        UsageError: a word in both languages, or one that contradicts another.
    """
    given = Given(name, ours, theirs)
    made: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    for word, value in theirs.items():
        row = FOREIGN_WORDS[word]
        if value is None or any(value is it or (type(value) is not bool and value == it) for it in row.neutral):
            continue
        taken = row.take(value, given)
        if taken is None:
            _refuse(word, value, row)
        for key, meant in taken.items():
            if key in ours or made.get(key, meant) != meant:
                raise UsageError(
                    f"{word}={value!r} is {key}={meant!r} here, got {key}={ours.get(key, made.get(key))!r} "
                    f"{f'by {said_by[key]} ' if key in said_by else ''}as well; give one of them"
                )
            made[key], said_by[key] = meant, word
    return made.pop("name", name), made


def _refuse(word: str, value: object, row: Word) -> NoReturn:
    raise UnknownNameError(f"create has no {word}={value!r}, a word of {row.library}; here it is {row.ours}")
