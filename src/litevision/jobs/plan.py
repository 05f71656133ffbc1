"""What a run of a job is asked for: the model, its options and engine, and the record that they make."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from itertools import islice
from pathlib import Path
from typing import Any

from litevision.errors import UsageError, without_secrets
from litevision.hub import find_bundle, load
from litevision.jobs.listing import Listing
from litevision.jobs.manifest import VERSION, EngineRecord, Manifest, ModelRecord, agree
from litevision.jobs.parts import default_format, require_format
from litevision.runtime.classifier import Classifier
from litevision.runtime.detector import Detector
from litevision.runtime.engines import AUTO, engine_choice
from litevision.runtime.engines.auto import FEW_IMAGES, choose
from litevision.runtime.predictor import BATCH_SIZE


@dataclass(frozen=True)
class Plan:
    """A run of a job.

    Attributes:
        model: as `litevision.hub.find_bundle` takes it.
        listing: the images.
        form: of the parts; None for that of the job, or the first that can be written.
        rows: images a part.
        workers: how many batches are computed at once.
        options: of the model's ``inference``, those that were given.
        engine: an engine, or "auto".
        precision: as for `litevision.Bundle.open`.
        device: as for `litevision.Bundle.open`.
        batch: how many images the network sees at once; None for what suits the options.
        has_ms: whether rows say how long an image took.
    """

    model: str
    listing: Listing
    form: str | None
    rows: int
    workers: int
    options: Mapping[str, Any]
    engine: str = AUTO
    precision: str | None = None
    device: str = "cpu"
    batch: int | None = None
    has_ms: bool = False

    def check(self) -> None:
        """Refuse what cannot be, before a model is looked for.

        Raises:
            LitevisionError: an engine, precision or device that does not exist; inputs that are not there.
        """
        if self.form is not None:
            require_format(self.form)
        if self.engine != AUTO:
            engine_choice(self.engine, self.precision, device=self.device)
        self.listing.check()

    def begin(self, folder: Path, note: Callable[[str], object]) -> tuple[Manifest, Classifier | Detector]:
        """Open the model, and agree on the record of the job in ``folder``, which is made where it is missing.

        Args:
            folder: of the parts.
            note: is told why an engine was chosen.

        Raises:
            LitevisionError: the model cannot be opened, or has no such option.
            UsageError: the folder holds something else, or a job that differs.
        """
        from litevision import __version__  # here: the package imports its parts when they are asked for

        opened: list[Classifier | Detector] = []

        def make(there: Manifest | None) -> Manifest:
            form = self.form or (there.format if there else default_format())
            require_format(form)
            path = find_bundle(self.model)
            engine = self._agreed(there.engine) if there else self._chosen(path, note)
            predictor = self._open(path, engine)
            opened.append(predictor)
            return Manifest(
                VERSION,
                __version__,
                tuple(map(without_secrets, self.listing.inputs)),
                self.listing.recursive,
                self.rows,
                form,
                self.has_ms,
                ModelRecord(path.name, predictor.bundle.sha256, predictor.task),
                tuple(f"{name}={value:g}" for name, value in self.options.items()),
                self._batch_size,
                replace(engine, version=predictor.bundle.engine.version),
            )

        manifest = agree(folder, make)
        version = opened[-1].bundle.engine.version
        if manifest.engine.version != version:
            note(f"the job was begun with {manifest.engine.version}, and this is {version}: last digits may differ")
        return manifest, opened[-1]

    @property
    def _batch_size(self) -> int:
        return self.batch or (BATCH_SIZE if self.options.get("tiles", 1) == 1 else 1)

    def _agreed(self, engine: EngineRecord) -> EngineRecord:
        if self.engine not in (AUTO, engine.name) or self.precision not in (None, engine.precision):
            raise UsageError(
                f"the job was begun with the engine {engine.name} {engine.precision}, which computes all of it; "
                "expected the same, or none. Leave out --engine and --precision, or give -o a new folder."
            )
        return engine

    def _open(self, path: Path, engine: EngineRecord) -> Classifier | Detector:
        """The model, with a stream for each worker."""
        predictor = load(
            path,
            engine=engine.name,
            precision=engine.precision,
            threads=1,
            streams=self.workers,
            device=engine.device,
        )
        known = signature(predictor.inference).parameters
        if wrong := [name for name in self.options if name not in known]:
            raise UsageError(f"--{wrong[0]} is no option of {self.model}, which does {predictor.task}. Leave it out.")
        return predictor

    def _chosen(self, path: Path, note: Callable[[str], object]) -> EngineRecord:
        if self.engine != AUTO:
            return EngineRecord(self.engine, self.precision or "fp32", self.device, "")
        first = list(islice(self.listing, FEW_IMAGES)) if self.listing.can_be_read_twice else []
        decision = choose(
            path,
            self._batch_size,
            precision=self.precision,
            threads=1,
            streams=self.workers,
            device=self.device,
            images=len(first) if 0 < len(first) < FEW_IMAGES else None,
            sample=[it for it in first if isinstance(it, str)],
        )
        note(f"engine auto: {decision.reason}")
        return EngineRecord(decision.choice.name, decision.choice.precision, decision.choice.device, "")
