"""An endpoint with LitServe, which gathers requests into batches of 8 for one worker process; another side of serve.py.

python _litserve_contender.py BUNDLE PORT
"""

import sys
from typing import Any

import litserve
import numpy as np
from _serve_contenders import Model, pixels
from fastapi import Request


class Classifier(litserve.LitAPI):  # type: ignore[misc]
    """A bundle behind one route; its worker process finds it by this module's name."""

    def __init__(self, bundle: str) -> None:
        super().__init__(max_batch_size=8, batch_timeout=0.005)
        self.bundle = bundle

    def setup(self, device: str) -> None:
        """Load the bundle in the worker process."""
        self.model = Model(self.bundle)

    def decode_request(self, request: Request) -> np.ndarray:
        """The image of a form as the network's input."""
        return pixels(request["file"].file.read())  # LitServe parses the form before this

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """A batch [n, 224, 224, 3]."""
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Scores of a batch, or of one image where no other came in time."""
        return self.model.scores(x if x.ndim == 4 else x[None])

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """The scores of each image."""
        return list(output)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """The best classes as JSON."""
        return self.model.named(output)


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(sys.argv[1]), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
