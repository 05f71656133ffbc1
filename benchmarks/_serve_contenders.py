"""The other sides of serve.py: litevision's own pipeline on the same files, and an endpoint as most people write it.

python _serve_contenders.py pipeline BUNDLE FOLDER SECONDS
python _serve_contenders.py endpoint BUNDLE PORT
"""

import io
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def pipeline(bundle: str, folder: str, seconds: str) -> None:
    """Print the images a second of the pipeline and the CPU of each in ms; it reads the files over and over."""
    import litevision

    paths = sorted(Path(folder).iterdir())
    start, cpu, count = 0.0, 0.0, 0
    for number, _ in enumerate(litevision.load_classifier(bundle).stream(itertools.cycle(paths))):
        if number == len(paths):  # the first round warms up
            start, cpu, count = time.perf_counter(), time.process_time(), 0
        count += 1
        if start and time.perf_counter() - start > float(seconds):
            break
    cpu_ms = 1e3 * (time.process_time() - cpu) / count
    print(json.dumps({"rate": count / (time.perf_counter() - start), "cpu_ms": cpu_ms}))


class Model:
    """An onnxruntime session with its labels."""

    def __init__(self, bundle: str) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession(bundle)
        self.labels = json.loads(self.session.get_modelmeta().custom_metadata_map["litevision"])["labels"]

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Scores of a batch [n, 224, 224, 3]."""
        [scores] = self.session.run(None, {"images": images})
        return np.asarray(scores)

    def named(self, scores: np.ndarray) -> dict[str, Any]:
        """The five best classes as JSON."""
        best = np.argsort(-scores)[:5]
        return {"predictions": [{"label": self.labels[it], "score": float(scores[it])} for it in best]}


def pixels(data: bytes) -> np.ndarray:
    """An encoded image as the network's input."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((round(scale * image.width), round(scale * image.height)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


def endpoint(bundle: str, port: str) -> None:
    """Serve one route with FastAPI, or where that is not installed with Starlette, which does less for a request."""
    import uvicorn

    model = Model(bundle)

    def answer(data: bytes) -> dict[str, Any]:
        return model.named(model.scores(pixels(data)[None])[0])

    app: Any
    try:
        from fastapi import FastAPI, UploadFile
    except ImportError:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        async def plain(request: Request) -> JSONResponse:
            async with request.form() as form:
                return JSONResponse(answer(await form["file"].read()))  # type: ignore[union-attr]

        app = Starlette(routes=[Route("/predict", plain, methods=["POST"])])
    else:
        app = FastAPI()

        async def predict(file: UploadFile) -> dict[str, Any]:
            return answer(await file.read())

        predict.__annotations__["file"] = UploadFile
        app.post("/predict")(predict)
    uvicorn.run(app, port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    {"pipeline": pipeline, "endpoint": endpoint}[sys.argv[1]](*sys.argv[2:])
