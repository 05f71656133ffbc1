"""Which constants count as parameters: those that a layer with weights uses, and no others."""

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from graphs import model
from litevision.cost.graph import graph_ledger

CONSTANTS = {
    "priors behind the last layer": (
        "g (float[1, 3, 4, 4] x) => (float[n] y) { c = Conv (x, w) r = Reshape (c, s) m = Mul (r, a) y = Add (m, b) }",
        {"w": (8, 3, 1, 1), "a": (1, 32, 4), "b": (1, 32, 4)},
        [1, 32, 4],
        24,
    ),
    "strides of places": (
        "g (float[1, 3, 4, 4] x) => (float[n] y) { c = Conv (x, w) r = Reshape (c, s) y = Mul (r, a) }",
        {"w": (8, 3, 1, 1), "a": (1, 16, 1)},
        [1, 16, 8],
        24,
    ),
    "the mean of images": (
        "g (float[1, 3, 4, 4] x) => (float[n] y) { d = Sub (x, m) e = Mul (d, v) y = Conv (e, w) }",
        {"w": (8, 3, 1, 1), "m": (1, 3, 1, 1), "v": (1, 3, 1, 1)},
        [1],
        24,
    ),
    "a bias behind a product": (
        "g (float[1, 5, 3] x) => (float[n] y) { p = MatMul (x, w) y = Add (p, b) }",
        {"w": (3, 8), "b": (8,)},
        [1],
        32,
    ),
    "a scale of channels": (
        "g (float[1, 3, 4, 4] x) => (float[n] y) { c = Conv (x, w) r = Relu (c) m = Mul (r, k) y = Add (m, b) }",
        {"w": (8, 3, 1, 1), "k": (1, 8, 1, 1), "b": (8, 1, 1)},
        [1],
        40,
    ),
    "an embedding of places between layers": (
        "g (float[1, 5, 3] x) => (float[n] y) { p = MatMul (x, w) e = Add (p, b) y = MatMul (e, v) }",
        {"w": (3, 8), "b": (1, 5, 8), "v": (8, 2)},
        [1],
        24 + 40 + 16,
    ),
    "a class token between layers": (
        "g (float[1, 5, 3] x) => (float[n] y) { p = MatMul (x, w) e = Concat <axis = 1> (t, p) y = MatMul (e, v) }",
        {"w": (3, 8), "t": (1, 1, 8), "v": (8, 2)},
        [1],
        24 + 8 + 16,
    ),
    "anchors between layers": (
        "g (float[1, 5, 3] x) => (float[n] y) { p = MatMul (x, w) e = Add (p, b) y = MatMul (e, v) }",
        {"w": (3, 4), "b": (1, 5, 4), "v": (4, 2)},
        [1],
        12 + 8,
    ),
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_count_where_layers_with_weights_use_them(kind: str) -> None:
    text, weights, shape, expected = CONSTANTS[kind]
    made = model(text, **weights)
    made.graph.initializer.append(numpy_helper.from_array(np.array(shape), "s"))
    assert graph_ledger(made).num_params == expected


def test_weights_that_a_file_leaves_out_count_all_the_same() -> None:
    made = model("""g (float[1, 3, 4, 4] x) => (float[n] y) {
        w = ConstantOfShape (ws)
        b = ConstantOfShape (bs)
        y = Conv (x, w, b)
    }""")
    made.graph.initializer.append(numpy_helper.from_array(np.array([8, 3, 3, 3]), "ws"))
    made.graph.initializer.append(numpy_helper.from_array(np.array([8]), "bs"))
    costs = graph_ledger(made)
    assert (costs.num_params, costs.macs) == (216 + 8, 216 * 4)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("anchors_as_constants.onnx", 108, 34_992),
        ("light_bvlc_alexnet.onnx", 60_965_224, 654_560_384),
    ],
)
def test_public_files_have_the_parameters_of_their_networks(shared: Path, name: str, params: int, macs: int) -> None:
    costs = graph_ledger(shared / "cases/weights" / name)
    assert (costs.num_params, costs.macs) == (params, macs)


class Sums(nn.Module):
    """A little transformer: embeddings, a class token, layers' scales, and anchors at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 17, 8))
        self.norm = nn.LayerNorm(8)
        self.one, self.two = nn.Linear(8, 16), nn.Linear(16, 8)
        self.gamma = nn.Parameter(torch.randn(8))
        self.head = nn.Linear(8, 4)
        self.anchors = nn.Buffer(torch.randn(1, 17, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(1, -1, -1), y], 1) + self.places
        y = y + self.gamma * self.two(torch.relu(self.one(self.norm(y))))
        return self.head(y) * self.anchors + self.anchors


def test_a_module_and_its_file_have_as_many(tmp_path: Path) -> None:
    network = Sums().eval()
    program = torch.onnx.export(network, (torch.zeros(1, 3, 16, 16),), dynamo=True, verbose=False)
    assert program is not None
    assert graph_ledger(program.model_proto).num_params == sum(it.numel() for it in network.parameters())
