"""What ``export`` writes for other runtimes is a model for every command that runs one; others say what they need."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import litevision as lv
from exports import export
from images import encoded, noise
from litevision.image import Limits
from litevision.runtime import Bundle
from litevision.serving.served import open_models
from networks import short

Run = Callable[..., tuple[int, str, str]]
KINDS = {"it_openvino": "openvino", "it.ncnn": "ncnn", "it.tflite": "litert"}
IMAGES = [encoded(noise(70, 90, seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle, what was made of it, and two labelled images."""
    folder = tmp_path_factory.mktemp("exported")
    export(short("mobilenet_v2", "torchvision"), folder / "it.onnx", check_images=IMAGES)
    for name in KINDS:
        lv.export(folder / "it.onnx", folder / name, check_images=IMAGES)
    for number, label in enumerate(Bundle.open(folder / "it.onnx").metadata.labels[:2]):
        place = folder / "data" / "test" / label
        place.mkdir(parents=True)
        (place / "a.png").write_bytes(IMAGES[number])
    return folder


@pytest.fixture(autouse=True)
def _there(exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(exported)
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path))


@pytest.mark.parametrize("name", KINDS)
def test_every_command_that_runs_models_takes_it(litevision: Run, name: str, tmp_path: Path) -> None:
    engine = KINDS[name]
    [image, *_] = sorted(Path("data").rglob("*.png"))
    _, out, _ = litevision("classify", str(image), "--model", name, "--json")
    found = json.loads(out)
    best, made = found["results"][0]["predictions"][0], found["bundle"]
    assert (best["label"], made["engine"]) == (lv.classify(image, "it.onnx")[0].label, engine)

    code, out, _ = litevision("batch", "data", "--recursive", "--model", name, "-o", str(tmp_path / "parts"))
    assert code == 0
    assert json.loads((tmp_path / "parts/_job.json").read_text())["model"]["sha256"] == made["sha256"]

    code, out, _ = litevision("evaluate", name, "data", "--json", "-")
    document = json.loads(out)
    assert (code, document["bundle"]["sha256"]) == (0, made["sha256"])
    assert document["scores"]["top1"] == lv.evaluate("it.onnx", "data").top1 == lv.evaluate(name, "data").top1

    code, out, _ = litevision("bench", name, "--seconds", "0.01", "--batch", "1", "--json", "--precision", "fp32")
    assert [(row["engine"], row["batch_size"]) for row in json.loads(out)["rows"]] == [(engine, 1)]

    [served] = open_models([name], limits=Limits(), engine=None, precision=None, device="cpu", streams=1).values()
    assert served.made_by["bundle"]["engine"] == engine


@pytest.mark.parametrize("name", KINDS)
def test_info_and_draw_show_the_network_that_it_was_made_of(litevision: Run, name: str, tmp_path: Path) -> None:
    code, out, err = litevision("info", name, "--json")
    assert (code, json.loads(out)["macs"]) == (0, lv.info("it.onnx").macs)
    assert f"{name} is for another runtime; what follows is the network that it was made of" in err
    code, _, _ = litevision("draw", name, "-o", str(tmp_path / "it.dot"))
    assert (code, "block_1" in (tmp_path / "it.dot").read_text()) == (0, True)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("profile IT", "its layers cannot be measured one by one; 'litevision bench' measures it whole"),
        ("lint IT", "its layers cannot be measured one by one; 'litevision bench' measures it whole"),
        ("export IT -o OUT.onnx", "its weights are no network's any more"),
        ("export IT -o OUT.tflite", "its weights are no network's any more"),
        ("train data --model mobilenet_v2 --weights IT -o OUT", "its weights are no network's any more"),
        ("evaluate IT data --size 64", "its weights are no network's any more"),
        ("page IT -o OUT.html", "onnxruntime-web does not compute it"),
        ("quantize IT --data data -o OUT.onnx", "nncf does not quantise it"),
    ],
)
def test_commands_that_need_the_graph_say_so(
    litevision: Run, name: str, command: str, reason: str, tmp_path: Path
) -> None:
    words = command.replace("IT", name).replace("OUT", str(tmp_path / "out")).split()
    code, _, err = litevision(*words)
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 1
    assert line == f"error: {name}: made for {KINDS[name]}, and {reason}. Give the bundle (.onnx) that it was made of."
    assert not [*tmp_path.glob("out*")]


@pytest.mark.parametrize(
    ("name", "engine", "message"),
    [
        (
            "it.ncnn",
            "onnxruntime",
            "computes an .onnx file, got a folder for ncnn; expected the engine ncnn.",
        ),
        ("it.tflite", "ncnn", "ncnn computes a folder for ncnn, got a .tflite file; expected the engine litert."),
        ("it.onnx", "ncnn", "got an .onnx file; expected the engine onnxruntime or openvino."),
        ("it_openvino", "litert", "got a folder for openvino; expected the engine openvino."),
    ],
)
def test_an_engine_of_other_models_is_refused(litevision: Run, name: str, engine: str, message: str) -> None:
    [image, *_] = map(str, Path("data").rglob("*.png"))
    for words in (("classify", image, "--model", name), ("bench", name), ("evaluate", name, "data")):
        code, _, err = litevision(*words, "--engine", engine)
        assert code == 1
        assert err.splitlines()[-1].endswith(message)
