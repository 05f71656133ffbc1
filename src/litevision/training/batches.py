"""Training batches whose content depends on the seed, the epoch and the place alone.

Nothing random is drawn from a state that runs on: the order of an epoch follows from (seed, epoch), what is done to an
image from (seed, epoch, image). So a run can be taken up again at any batch without any saved random state, and
the number of workers changes nothing, nor does that of processes.
"""

import functools
import itertools
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from litevision.errors import ImageError, TrainingError
from litevision.models.pretrained import as_grey
from litevision.runtime import Normalisation
from litevision.runtime.metadata import GREY
from litevision.training.image_cache import ImageCache
from litevision.training.process import SIGNALS

SampleKey = tuple[int, int]
"""An image's index, and the seed of what is done to it."""

Batch = tuple[Tensor, Any]
"""``uint8[N, 3, H, W]`` and what is true of them, ``int64[N]`` for classes; both can be moved to a device by ``to``."""

Item = tuple[Tensor, int] | ImageError
"""An image ``uint8[3, H, W]`` with its class, or why it cannot be read."""

Transform = Callable[[Image.Image], Tensor]

_MEASURED_IMAGES, _MEASURED_BATCHES = 1024, 8  # at most, and at least


def derived_seed(*parts: int) -> int:
    """A seed of 63 bits for one purpose, well mixed from small numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


class EpochOrder:
    """Which images are in which batch of an epoch."""

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int,
        *,
        chances: Sequence[float] | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Takes the number of images; of each ``batch_size * ranks`` of them, ``rank`` gets its part.

        With ``chances``, one for each image, an epoch draws as many images as there are with chances in proportion to
        them, some more than once; without, it shows each image once.
        """
        self._count = count
        self._batch_size = min(batch_size, max(1, count // ranks))
        self._seed = seed
        self._chances = None if chances is None else np.asarray(chances, np.float64)
        self._rank, self._ranks = rank, ranks

    def __len__(self) -> int:
        """Batches in an epoch; the images that fill none are left out, others in each epoch."""
        return self._count // (self._batch_size * self._ranks)

    @property
    def images_per_step(self) -> int:
        """Images of one step, all processes together."""
        return self._batch_size * self._ranks

    def batches(self, epoch: int, first: int = 0) -> list[list[SampleKey]]:
        """The batches of ``epoch`` for this rank, from the batch ``first`` on."""
        order = self._order(np.random.default_rng((self._seed, epoch)))
        step = self.images_per_step
        batches = []
        for start in range(first * step, len(self) * step, step):
            part = order[start + self._rank : start + step : self._ranks]
            # The place takes part: a balanced order shows an image twice, and then not alike. It is that in the whole
            # order, so that the number of processes changes nothing either.
            places = range(start + self._rank, start + step, self._ranks)
            batches.append(
                [
                    (int(index), derived_seed(self._seed, epoch, place, int(index)))
                    for place, index in zip(places, part, strict=True)
                ]
            )
        return batches

    def batches_to_measure(self, epoch: int) -> list[list[SampleKey]]:
        """Those that statistics are measured on: the first of ``epoch``, and in short ones of the next, too."""
        wanted = min(-(-_MEASURED_IMAGES // self.images_per_step), max(len(self), _MEASURED_BATCHES))
        following = (self.batches(later) for later in itertools.count(epoch))
        return list(itertools.islice(itertools.chain.from_iterable(following), wanted))

    def _order(self, random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        if self._chances is None:
            return random.permutation(self._count)
        return random.choice(self._count, self._count, p=self._chances / self._chances.sum())


class Images(Protocol):
    """Training images of any task, by index and seed."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: SampleKey) -> Any:
        """An item, or the ``ImageError`` that says why there is none."""
        ...

    def collate(self, items: Sequence[Any]) -> Batch:
        """The batch of some items."""
        ...

    def at_size(self, size_hw: tuple[int, int]) -> "Images":
        """The same images, made at another size."""
        ...


class TrainingImages(Dataset[Item]):
    """Augmented images by index and seed."""

    def __init__(
        self,
        store: ImageCache,
        labels: Sequence[int],
        transform_to: Callable[[tuple[int, int]], Transform],
        size_hw: tuple[int, int],
    ) -> None:
        """Takes what makes the augmentation for a size, and the size."""
        self._store = store
        self._labels = labels
        self._transform_to = transform_to
        self._transform = transform_to(size_hw)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, key: SampleKey) -> Item:
        index, seed = key
        try:
            image = Image.fromarray(self._store(index))
        except ImageError as error:
            return error  # raised in a worker, it would come with a traceback of many lines
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._transform(image), self._labels[index]

    def collate(self, items: Sequence[tuple[Tensor, int]]) -> Batch:
        """The images, and their classes."""
        images, labels = zip(*items, strict=True)
        return torch.stack(images), torch.tensor(labels)

    def at_size(self, size_hw: tuple[int, int]) -> "TrainingImages":
        """The same images, made at another size."""
        return TrainingImages(self._store, self._labels, self._transform_to, size_hw)


class PixelNormaliser:
    """Turns images of 0 to 255 into a network's input: ``(pixel - mean) / std`` per channel, or of the grey value."""

    def __init__(self, normalisation: Normalisation, in_channels: int = 3) -> None:
        self._is_grey = in_channels == 1
        self._luma = torch.tensor(GREY).view(1, 3, 1, 1)
        normalisation = as_grey(normalisation) if self._is_grey else normalisation
        self._mean = torch.tensor(normalisation.mean).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(normalisation.std).view(1, 3, 1, 1) * 255

    def __call__(self, images: Tensor) -> Tensor:
        """Takes [N, 3, H, W], gives [N, in_channels, H, W], float32."""
        images = (images.float() - self._mean.to(images.device)) / self._std.to(images.device)
        # The parts of red, green and blue sum to 1, so that it is all one which comes first.
        return (images * self._luma.to(images.device)).sum(1, keepdim=True) if self._is_grey else images


def load_batches(images: Images, batches: Sequence[Sequence[SampleKey]], workers: int) -> Generator[Batch, None, None]:
    """The images of each of ``batches``, read by ``workers`` processes (0: by this one), which end with it.

    Raises:
        TrainingError: an image that cannot be read.
    """
    loader: DataLoader[Any] = DataLoader(
        images,  # type: ignore[arg-type]  # torch declares a Dataset and asks for no more than this
        batch_sampler=batches,  # type: ignore[arg-type]  # torch declares numbers and takes keys too
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        collate_fn=functools.partial(_collate, images),
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # its draw must not come from, nor move on, the process's own
    )
    loaded: Any = iter(loader)
    try:
        for batch in loaded:
            if isinstance(batch, ImageError):
                raise TrainingError(f"{batch} Or remove it, then start anew; 'litevision check-data' finds all such.")
            yield batch
    finally:
        # Not left to the garbage collector, which an error's traceback keeps off: a process that ends waits for its
        # workers, and these pass over the signal that should end them.
        if workers:
            loaded._shutdown_workers()


def _collate(images: Images, items: Sequence[Any]) -> Batch | ImageError:
    return next((item for item in items if isinstance(item, ImageError)), None) or images.collate(items)


def _start_worker(_: int) -> None:
    # A signal to the whole group is for the run, which ends its workers itself once its checkpoint is written.
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # A run that stops hangs up while multiprocessing hands it a batch; the thread that does so would show it here.
        if not isinstance(error, ConnectionError | EOFError):
            shown(kind, error, trace)

    sys.excepthook = show
