"""The program's help, each command's, and the words of those who look for another command."""

import dataclasses
import re
import shlex
import subprocess
import sys
from collections.abc import Callable

import pytest

import litevision as package
from litevision.cli.commands import COMMANDS, OTHER_WORDS, load_command
from litevision.cli.help import help_of
from litevision.cli.parser import GLOBAL_OPTIONS, fields_of, option_names, parse

Run = Callable[..., tuple[int, str, str]]

SHOWN = {
    "classify": ["litevision classify photo.jpg", "[default: 5]", "imagenet-1k unless given", "Choices: onnxruntime"],
    "detect": ["N along the longer side", "from 0 to 1", "blood-cells unless given", "Seconds between frames"],
    "batch": ["3/16", "[default: 1000]", "-o, --output FOLDER", "Choices: column, stop. [default: column]"],
    "evaluate": ["runs/first", "Choices: train, validation, test, all.", "onnxruntime unless given"],
    "check-data": [
        "Pascal VOC, COCO, YOLO, CVAT, LabelMe, CreateML, Label Studio, VIA or CSV of boxes",
        "only the first five",
    ],
    "train": [
        "Random seed. [default: 0]",
        "[default: 32, 16 from scratch; 8 for detection]",
        "[default: 224x224; 416x416 for detection]",
        "the folder of a run",
        "[default: runs]",
        "litevision train clothes/",
    ],
    "average": ["--name both", "[default: runs]"],
    "compare": ["Minutes of training for each run; 30 unless given.", "[default: 5]"],
    "models": ["litevision models --weights"],
    "info": [
        "--conv-only",
        "1000 unless given, of a detector 80",
        "Choices: 8, 16, 32. [default: 32]",
        "Input side in pixels",
    ],
    "draw": ["-o, --output FILE", ".svg, .png, .pdf or .dot", "224 unless a file fixes it"],
    "lint": ["Show layers that take more milliseconds than this. [default: 0.1]"],
    "convert": ["runs/first", "[default: litevision]"],
    "export": ["--check-images FOLDER", "runs/first", "half is [-1, 1]"],
    "serve": ["NAME=MODEL chooses", "Most images that wait; more are answered 429. [default: 64]"],
    "page": ["-o, --output FOLDER|FILE.html", "litevision page clothing -o site/", "fetched by npm once"],
    "adopt": [
        "litevision adopt yolox_nano.onnx --preset yolox",
        "none is 0 to 255",
        "[default: 100]",
        "--check-images FOLDER",
    ],
    "quantize": ["--evaluate-on DATA", "[default: 300]", "1 point of top-1, or 0.01 of AP"],
    "bench": ["Batch sizes", "[default: 1,8,32]", "Seconds measured for each row. [default: 1]"],
    "profile": ["[default: 54]", "Batch size. [default: 1]"],
    "guidelines": ["G1|G2|G3|G4", "Seconds measured for each network, over all rounds. [default: 0.3]"],
    "choose": ["Milliseconds that an image may take", "[default: 1000]"],
    "completion": ['eval "$(litevision completion bash)"'],
}


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("help",), ()])
def test_the_program_groups_its_commands(litevision: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = litevision(*arguments)
    assert (code, err) == (0 if arguments else 2, "")
    headings = re.findall(r"^(\w[\w ]*):$", out, re.MULTILINE)
    assert headings == ["Example", "Use", "Train", "Look inside", "Measure", "Shell", "General options"]
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.help[:30])}", out, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself(litevision: Run, name: str) -> None:
    code, out, err = litevision(name, "--help")
    assert (code, err) == (0, "")
    assert litevision(name, "-h") == (0, out, "")
    assert litevision("help", name) == (0, out, "")
    assert out.startswith(f"Usage: litevision {name} ")
    assert max(map(len, out.splitlines())) < 120
    assert [text for text in SHOWN[name] if flat(text) not in flat(out)] == []
    for words in ("picture", "trunk", "Of everything", "a step"):
        assert words not in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented_and_typed(name: str) -> None:
    _, options = load_command(name)
    assert dataclasses.is_dataclass(options)
    fields = fields_of(options)
    names = [typed for field in fields for typed in option_names(field)]
    assert len(names) == len(set(names))
    assert not {name for names in GLOBAL_OPTIONS for name in names.split(", ")} & set(names)
    for field in fields:
        text = help_of(field)
        assert re.match(r"[A-Z0-9].{5,}[.\]]$", text), f"{field.name}: {text}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_can_be_read(name: str) -> None:
    _, options = load_command(name)
    examples: tuple[str, ...] = vars(options)["examples"]
    for example in examples if name != "completion" else ("litevision completion bash",):
        program, command, *arguments = shlex.split(example)
        assert (program, command) == ("litevision", name)
        assert parse(options, arguments, command=name).options is not None


def test_the_first_example_stands_before_the_details(litevision: Run) -> None:
    _, out, _ = litevision("classify", "--help")
    assert out.index("litevision classify photo.jpg") < out.index("cannot be read") < out.index("--top N")


def test_hidden_names_are_not_shown(litevision: Run) -> None:
    assert "--photos" not in litevision("export", "--help")[1]


@pytest.mark.parametrize("arguments", [("--version",), ("-V",), ("--quiet", "--version")])
def test_the_version(litevision: Run, arguments: tuple[str, ...]) -> None:
    assert litevision(*arguments) == (0, f"litevision {package.__version__}\n", "")


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("predict", "'classify' or 'detect'"),
        ("infer", "'classify' or 'detect'"),
        ("test", "'evaluate'"),
        ("val", "'evaluate'"),
        ("validate", "'evaluate'"),
        ("fit", "'train'"),
        ("fine-tune", "'train'"),
        ("summary", "'info'"),
        ("benchmark", "'bench' or 'profile'"),
        ("quantise", "'quantize'"),
        ("Predict", "'classify' or 'detect'"),
        ("trian", "'train'"),
        ("class", "'classify'"),
    ],
)
def test_other_words_lead_to_our_command(litevision: Run, word: str, answer: str) -> None:
    assert litevision(word, "x.jpg") == (
        2,
        "",
        f"error: no command {word!r}. Did you mean {answer}? See litevision --help.\n",
    )


def test_a_word_that_means_nothing(litevision: Run) -> None:
    assert litevision("xyzzy") == (2, "", "error: no command 'xyzzy'. See litevision --help.\n")


def test_other_words_name_commands_that_exist() -> None:
    words = [word for group in OTHER_WORDS for word in group]
    assert len(words) == len(set(words))
    assert not set(words) & set(COMMANDS)
    assert {command for commands in OTHER_WORDS.values() for command in commands} <= set(COMMANDS)


def test_an_unknown_global_option(litevision: Run) -> None:
    assert litevision("--nonsense", "classify") == (2, "", "error: no option '--nonsense'. See litevision --help.\n")


def test_help_imports_no_engine_and_no_torch() -> None:
    program = (
        "import sys; sys.argv = ['litevision', sys.argv[1], '--help']\n"
        "from litevision.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "print(sorted({'rich', 'torch', 'onnxruntime', 'onnx'} & set(sys.modules)))"
    )
    for command in ("classify", "train", "info"):
        done = subprocess.run([sys.executable, "-c", program, command], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"
