import json
import sys
from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]

V1 = """\
MobileNetV1 (mobilenet_v1), dialect slim, width 0.25, 10 classes, input 3x32x49

layer                operation                     output    params     MACs    %
Conv2d_0             pad + conv 3x3 /2 +BN +ReLU6  8x16x25      232   86,400  5.6
Conv2d_1_depthwise   dw 3x3 +BN +ReLU6             8x16x25       88   28,800  1.9
Conv2d_1_pointwise   conv 1x1 +BN +ReLU6           16x16x25     160   51,200  3.3
Conv2d_2_depthwise   pad + dw 3x3 /2 +BN +ReLU6    16x8x13      176   14,976  1.0
Conv2d_2_pointwise   conv 1x1 +BN +ReLU6           32x8x13      576   53,248  3.4
Conv2d_3_depthwise   dw 3x3 +BN +ReLU6             32x8x13      352   29,952  1.9
Conv2d_3_pointwise   conv 1x1 +BN +ReLU6           32x8x13    1,088  106,496  6.9
Conv2d_4_depthwise   pad + dw 3x3 /2 +BN +ReLU6    32x4x7       352    8,064  0.5
Conv2d_4_pointwise   conv 1x1 +BN +ReLU6           64x4x7     2,176   57,344  3.7
Conv2d_5_depthwise   dw 3x3 +BN +ReLU6             64x4x7       704   16,128  1.0
Conv2d_5_pointwise   conv 1x1 +BN +ReLU6           64x4x7     4,224  114,688  7.4
Conv2d_6_depthwise   pad + dw 3x3 /2 +BN +ReLU6    64x2x4       704    4,608  0.3
Conv2d_6_pointwise   conv 1x1 +BN +ReLU6           128x2x4    8,448   65,536  4.2
Conv2d_7_depthwise   dw 3x3 +BN +ReLU6             128x2x4    1,408    9,216  0.6
Conv2d_7_pointwise   conv 1x1 +BN +ReLU6           128x2x4   16,640  131,072  8.5
Conv2d_8_depthwise   dw 3x3 +BN +ReLU6             128x2x4    1,408    9,216  0.6
Conv2d_8_pointwise   conv 1x1 +BN +ReLU6           128x2x4   16,640  131,072  8.5
Conv2d_9_depthwise   dw 3x3 +BN +ReLU6             128x2x4    1,408    9,216  0.6
Conv2d_9_pointwise   conv 1x1 +BN +ReLU6           128x2x4   16,640  131,072  8.5
Conv2d_10_depthwise  dw 3x3 +BN +ReLU6             128x2x4    1,408    9,216  0.6
Conv2d_10_pointwise  conv 1x1 +BN +ReLU6           128x2x4   16,640  131,072  8.5
Conv2d_11_depthwise  dw 3x3 +BN +ReLU6             128x2x4    1,408    9,216  0.6
Conv2d_11_pointwise  conv 1x1 +BN +ReLU6           128x2x4   16,640  131,072  8.5
Conv2d_12_depthwise  pad + dw 3x3 /2 +BN +ReLU6    128x1x2    1,408    2,304  0.1
Conv2d_12_pointwise  conv 1x1 +BN +ReLU6           256x1x2   33,280   65,536  4.2
Conv2d_13_depthwise  dw 3x3 +BN +ReLU6             256x1x2    2,816    4,608  0.3
Conv2d_13_pointwise  conv 1x1 +BN +ReLU6           256x1x2   66,048  131,072  8.5
avg_pool             avg pool 1x2                  256            0        0  0.0
classifier           linear                        10         2,570    2,560  0.2

params          215,642  0.86 MB in fp32
buffers           5,472  running means and variances of BN
MACs          1,544,960  1.5 M; FLOPs are twice that
activations     264,268  bytes written for one image in fp32; at most 54,976 alive at once
classifier        2,570  params; 1.2% of all weights
100 classes     +23,130  adds 0.09 MB
1000 classes   +254,430  adds 1.02 MB
"""


def test_the_whole_text(litevision: Run) -> None:
    code, out, err = litevision(
        "info", "mobilenet_v1", "--dialect", "slim", "--width", "0.25", "--size", "32x49", "--classes", "10"
    )
    assert (code, err) == (0, "")
    assert out == V1


def test_all_rows_give_every_operation_its_own(litevision: Run) -> None:
    _, folded, _ = litevision("info", "mobilenet_v3_small", "--size", "64")
    _, out, _ = litevision("info", "mobilenet_v3_small", "--size", "64", "--all")
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert lines["block_3.depthwise"] == ["block_3.depthwise", "dw", "5x5", "/2", "96x4x4", "2,400", "38,400", "0.6"]
    assert lines["block_3.depthwise.norm"] == ["block_3.depthwise.norm", "BN", "96x4x4", "192", "0", "0.0"]
    assert lines["block_3.se.mul"] == ["block_3.se.mul", "scale", "96x4x4", "0", "0", "0.0"]
    # The totals are the same, whatever the rows.
    assert out.split("\n\n")[-1] == folded.split("\n\n")[-1]


def test_json_is_one_object_with_every_row(litevision: Run) -> None:
    code, out, err = litevision("info", "mobilenetv2_140", "--size", "192x256", "--classes", "5", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert {name: answer[name] for name in ("model", "dialect", "width_mult", "size_hw", "num_classes")} == {
        "model": "mobilenet_v2",
        "dialect": "timm",
        "width_mult": 1.4,
        "size_hw": [192, 256],
        "num_classes": 5,
    }
    assert answer["output_stride"] == 32
    layers = answer["layers"]
    assert (
        layers[0].items()
        >= {
            "name": "stem",
            "kind": "conv",
            "kernel": [3, 3],
            "stride": [2, 2],
            "out_shape": [48, 96, 128],
            "params": 27 * 48,
            "macs": 27 * 48 * 96 * 128,
        }.items()
    )
    assert answer["num_params"] == sum(layer["params"] for layer in layers)
    assert answer["num_buffers"] == sum(layer["buffers"] for layer in layers)
    assert answer["macs"] == sum(layer["macs"] for layer in layers)
    assert answer["activation_bytes"] == sum(layer["activation_bytes"] for layer in layers)
    assert answer["peak_activation_bytes"] < answer["activation_bytes"]
    classifier = answer["classifier"]
    assert classifier["params"] == 5 * 1793
    assert [saving["num_classes"] for saving in classifier["savings"]] == [10, 100, 1000]
    assert classifier["savings"][0] == {"num_classes": 10, "params": -5 * 1793, "bytes": -20 * 1793}


def test_no_classes_means_no_classifier(litevision: Run) -> None:
    _, out, _ = litevision("info", "shufflenet_v2_x0_5", "--classes", "0", "--json")
    assert json.loads(out)["classifier"] == {"params": 0, "share": 0.0, "savings": []}
    _, out, _ = litevision("info", "shufflenet_v2_x0_5", "--classes", "0")
    assert "no classifier, input 3x224x224" in out.splitlines()[0]
    assert out.splitlines()[-1].startswith("activations")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilenet_v9"], "no model 'mobilenet_v9'. Did you mean "),
        (["mobilenet_v2", "--width", "0"], "width_mult must be a number above 0, got 0.0"),
        (["mobilenet_v2", "--width", "-1"], "width_mult must be a number above 0, got -1.0"),
        (["mobilenet_v2", "--size", "0"], "a size is one side in pixels or HxW, such as 224 or 192x256, got '0'"),
        (["mobilenet_v2", "--size", "12x"], "a size is one side in pixels or HxW, such as 224 or 192x256, got '12x'"),
        (["mobilenet_v2", "--output-stride", "12"], "output_stride must be 8, 16 or 32, got 12"),
        (["mobilenet_v2", "--classes", "-1"], "num_classes must be "),
        (["mobilenet_v2", "--dialect", "tf"], "no dialect of mobilenet_v2 'tf'. Known: torchvision"),
        (["mobilenet_v1", "--dialect", "keras", "--size", "1"], "the network cannot take an image of 1x1 pixels: "),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_1(litevision: Run, arguments: list[str], message: str) -> None:
    code, out, err = litevision("info", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_without_torch_the_message_names_the_extra(litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert litevision("info", "mobilenet_v2") == (
        1,
        "",
        "error: building the network 'mobilenet_v2' needs parts that are not installed. "
        "Install them with: pip install 'litevision[train]'\n",
    )


def test_a_terminal_gets_a_drawn_table(
    litevision: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("litevision.cli.tables._is_terminal", lambda: True)
    _, out, _ = litevision("info", "mobilenet_v2")
    assert "───" in out
    assert "block_16.project" in out
