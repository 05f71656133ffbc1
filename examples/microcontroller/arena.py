"""Lists the operators of a model and finds the arena that it needs in TFLite Micro: python arena.py MODEL.tflite

Needs `pip install tflite-micro`. Apache-2.0.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from tflite_micro import runtime

MOST = 64 * 2**20  # bytes
data = Path(sys.argv[1]).read_bytes()
model = runtime.convert_bytearray_to_object(bytearray(data))
names = {number: name for name, number in vars(runtime.schema_fb.BuiltinOperator).items() if isinstance(number, int)}
codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
found = Counter(names[codes[one.opcodeIndex]] for one in model.subgraphs[0].operators)
print(f"{len(found)} kinds of operators: " + ", ".join(f"{name} x {count}" for name, count in sorted(found.items())))


def runs_in(arena: int) -> bool:
    """Whether an image is answered with so many bytes."""
    try:
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena)
        interpreter.set_input(np.zeros(interpreter.get_input_details(0)["shape"], np.uint8), 0)
        interpreter.invoke()
    except RuntimeError:
        return False
    return True


if not runs_in(MOST):
    sys.exit("it does not run in TFLite Micro, see above")
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what the interpreter says of each arena that is too small
least, most = 0, MOST
while most - least > 512:
    middle = (least + most) // 2
    least, most = (least, middle) if runs_in(middle) else (middle, most)
print(f"arena: {most:,} bytes; model: {len(data):,} bytes")
