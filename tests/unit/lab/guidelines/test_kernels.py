"""What the engines fuse: read from what they really run."""

from collections import Counter

import pytest

from litevision.lab.guidelines.designs import DESIGNS
from litevision.lab.guidelines.kernels import PLAIN_CONV, REORDER, fused, kernels
from litevision.runtime.engines import engine_choice


def ran(variant: int, engine: str, scale: int = 2) -> tuple[Counter[str], Counter[str]]:
    """The kernels of a network of G4 by operator, and what is fused."""
    model = DESIGNS[3].variants[variant].model(scale)
    found = kernels(model, engine_choice(engine, threads=1))
    return Counter(kernel.op for kernel in found), fused(model, found)


def test_onnxruntime_fuses_relu_and_not_this_shortcut() -> None:
    count, inside = ran(3, "onnxruntime")
    # A block's last ReLU follows the sum, and that reads the graph's input, which is not in the convolutions' layout.
    assert (count["Conv"], count["Relu"], count["Add"]) == (30, 10, 10)
    assert inside == {"Relu": 20}


def test_openvino_fuses_both() -> None:
    pytest.importorskip("openvino")
    count, inside = ran(3, "openvino")
    assert count.keys() == {"Conv", REORDER}
    assert count["Conv"] == 30
    assert inside == {"Relu": 30, "Add": 10}


def test_a_network_without_them_has_nothing_to_fuse() -> None:
    count, inside = ran(0, "onnxruntime")
    assert (count, inside) == (Counter({"Conv": 30, REORDER: 2}), Counter())


def test_widths_that_do_not_fill_a_vector_unit_are_seen() -> None:
    model = DESIGNS[1].variants[1].model(1)  # 90 channels
    assert {kernel.op for kernel in kernels(model, engine_choice("onnxruntime"))} == {PLAIN_CONV}


def test_a_kernel_names_the_tensor_of_the_graph_that_it_writes() -> None:
    model = DESIGNS[3].variants[2].model(2)
    own = [kernel.output for kernel in kernels(model, engine_choice("onnxruntime")) if kernel.op == "Add"]
    assert own == [node.output[0] for node in model.graph.node if node.op_type == "Add"]
