"""Real weights through the whole way: file, network, bundle, photo."""

from pathlib import Path

import numpy as np
import pytest
import torch

from litevision.exporting.export import export
from litevision.hub import load
from litevision.weights.load import load_weights

ELEPHANT = Path(__file__).parents[3] / "examples" / "elephant.jpg"


@pytest.mark.parametrize("file", ["mobilenet_v2_in1k_torchvision.safetensors", "mobilenet_v1_025_in1k.weights.h5"])
def test_the_bundle_knows_the_elephant_as_torch_does(shared: Path, tmp_path: Path, file: str) -> None:
    loaded = load_weights(shared / "weights" / file)
    export(loaded.network, tmp_path / "it.onnx")

    # By hand, without anything of the exporter.
    pixels = torch.from_numpy(loaded.network.pretrained.preprocess(ELEPHANT)).permute(2, 0, 1) / 255
    mean, std = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) if "torchvision" in file else ((0.5,) * 3, (0.5,) * 3)
    x = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.inference_mode():
        expected, classes = loaded.network.eval()(x[None]).softmax(-1)[0].topk(5)

    found = load(tmp_path / "it.onnx").predict(ELEPHANT, top=5)
    assert [prediction.index for prediction in found] == classes.tolist()
    np.testing.assert_allclose([prediction.score for prediction in found], expected, rtol=0, atol=1e-4)
    assert found[0].label == "African_elephant"
