"""What a training prints: the data, the recipe, its progress, and what came of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from litevision import console
from litevision.data import SPLITS, Issue
from litevision.tables import escape, pluralise
from litevision.tasks import task_of
from litevision.training.callbacks import Callback
from litevision.training.estimate import TIMED_STEPS, epoch_cost
from litevision.training.plan import RECIPE, AnyPlan

_LINE_EVERY_S = 20.0
_CLASSES_SHOWN = 30


def print_data(plan: AnyPlan, issues: Sequence[Issue]) -> None:
    """Prints the data's classes and splits, and what is left out; of images with boxes, the boxes are counted."""
    if console.is_quiet():
        return
    data, counted = plan.data, plan.task.counted
    counts_images = counted == "images"
    screen = Console(stderr=True, highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for split in SPLITS:
        table.add_column(split, justify="right")
    counts = {split: data.counts(split) for split in SPLITS}
    for label, name in enumerate(data.classes[:_CLASSES_SHOWN]):
        table.add_row(Text(escape(name)), *(f"{counts[split][label]:,}" for split in SPLITS), style=None)
    if len(data.classes) > _CLASSES_SHOWN:
        table.add_row(f"... {len(data.classes) - _CLASSES_SHOWN} more", *("" for _ in SPLITS))
    total = f"{len(data.classes)} classes{'' if counts_images else f', {counted}'}"
    table.add_row(total, *(f"{sum(counts[split]):,}" for split in SPLITS), style="bold")
    if not counts_images:
        table.add_row("images", *(f"{len(data.of(split)):,}" for split in SPLITS), style="bold")
    screen.print(table)
    if data.made_splits:
        screen.print("the splits were made here, the same ones each time")
    left_out = [issue for issue in issues if issue.path is not None]
    for issue in left_out[:5]:
        line = "" if issue.line is None else f", line {issue.line}"
        screen.print(escape(f"left out: {issue.path}{line}: {issue.detail}"), markup=False, soft_wrap=True)
    if left_out:
        what = "images" if counts_images else f"{counted} or images"
        screen.print(f"{len(left_out)} {what} left out in all; 'litevision check-data' tells more")
    if data.passed_over:
        screen.print(f"{data.passed_over}; 'litevision check-data' tells more", markup=False)
    excluded = sum(one.rule == "excluded" for one in plan.skipped)
    if excluded:
        screen.print(f"images left out by the recipe: {excluded}")


@rank_zero_only
def print_recipe(plan: AnyPlan, folder: Path) -> None:
    """Prints the recipe in one paragraph, and where all of it stands."""
    recipe = plan.recipe
    schedule, optimizer = recipe.schedule, recipe.optimizer
    task = plan.task
    start = "scratch" if plan.start is None else f"{plan.start.name} (licence: {plan.start.licence})"
    height, width = recipe.model.size_hw
    if plan.fresh_head:
        start += f", with the {task.head_name} from scratch for {len(plan.data.classes)} classes"
    loss = task.loss_options_in_words(recipe)
    network = f"{task.start_in_words(recipe)}{plan.backbone.architecture} x{plan.backbone.width_mult:g}"
    splits = len(plan.data.of(*schedule.splits))
    batch = min(schedule.batch_size, max(1, splits // recipe.run.devices))
    alone = f", of these {schedule.freeze_backbone_epochs} for the {task.head_name} alone"
    if schedule.frozen_passes > 1:
        alone += f" ({schedule.frozen_passes} passes over kept features)"
    sizes = dict.fromkeys("x".join(map(str, recipe.train_size_in(epoch))) for epoch in (0, schedule.epochs - 1))
    seen = ", in grey" if plan.backbone.in_channels == 1 else ""
    seen += ", rounded to 8 bits" if recipe.model.quantization_aware else ""
    lines = (
        f"network   {network} at {height}x{width}{seen}, from {start}",
        f"schedule  {pluralise(schedule.epochs, 'epoch')}{alone if schedule.freeze_backbone_epochs else ''}; "
        f"{pluralise(batch, 'image')} a step at {', growing to '.join(sizes)}, {recipe.run.precision}",
        f"learning  {optimizer.name}, lr {optimizer.lr:g}, backbone x{optimizer.backbone_lr_mult:g}, "
        f"weight decay {optimizer.weight_decay:g}, EMA {recipe.run.ema_decay:g}{f', {loss}' if loss else ''}",
        f"images    {task.image_options_in_words(recipe)}",
        f"run       {folder} (the whole recipe: {folder / RECIPE})",
    )
    for line in lines:
        console.note(line)
    for one in plan.adapted:
        value = "x".join(map(str, one.value)) if isinstance(one.value, list) else one.value
        console.note(f"adapted   {one.key} is {value}: {one.why}")
    if plan.adapted:
        console.note("          --set TABLE.KEY=VALUE states another value")


class ConsoleListener(Callback):
    """Shows a run's progress: a bar on a terminal, lines elsewhere, and TensorBoard's files.

    Of several processes only the first one does.
    """

    def __init__(self, plan: AnyPlan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._terminal = console.shows_progress()
        self._bar: Progress | None = None
        self._writer: Any = None

    def __enter__(self) -> "ConsoleListener":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._writer is not None:
            self._writer.close()

    @rank_zero_only
    def on_train_start(self, estimate: Callable[[], float | None]) -> None:
        seconds = estimate()
        if seconds is not None:
            console.note(f"time      about {_duration(seconds)} on this machine, by {TIMED_STEPS} timed steps")

    @rank_zero_only
    def on_epoch_start(self, epoch: int, phase: str, batches: int, first: int) -> None:
        schedule = self._plan.recipe.schedule
        self._epoch, self._batches, self._done = epoch, batches, first
        self._started = self._printed = time.monotonic()
        self._first = first
        if self._terminal and self._bar is None:
            self._bar = _make_bar()
            steps = batches // schedule.frozen_passes if phase == "head" else batches  # of a pass
            frozen = [min(done, schedule.freeze_backbone_epochs) for done in (epoch - 1, schedule.epochs)]
            before, total = (
                steps * (epochs + (schedule.frozen_passes - 1) * head_alone)
                for epochs, head_alone in zip((epoch - 1, schedule.epochs), frozen, strict=True)
            )
            self._task = self._bar.add_task("", total=total, completed=before + first, loss="")
            self._bar.start()
        if self._bar is not None:
            what = self._plan.task.head_name_short if phase == "head" else "all"
            self._bar.update(self._task, description=f"epoch {epoch}/{schedule.epochs} ({what})")

    @rank_zero_only
    def on_step(self, images: int, loss: float) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, advance=1, loss=f"loss {loss:.3f}")
            return
        now = time.monotonic()
        if now - self._printed >= _LINE_EVERY_S:
            self._printed = now
            steps = self._done - self._first
            rate = images * steps / (now - self._started)
            recipe = self._plan.recipe
            later = sum(epoch_cost(recipe, epoch) for epoch in range(self._epoch, recipe.schedule.epochs))
            epochs = later / epoch_cost(recipe, self._epoch - 1) + 1 - self._done / self._batches
            left = epochs * self._batches * (now - self._started) / steps
            console.note(
                f"epoch {self._epoch}, batch {self._done} of {self._batches}: loss {loss:.3f}, "
                f"{rate:.1f} images a second, about {pluralise(round(left / 60), 'minute')} left"
            )

    @rank_zero_only
    def on_epoch_end(self, record: Mapping[str, Any]) -> None:
        line = (
            f"epoch {record['epoch']:3d}  loss {record['train_loss']:.3f}  val {record['validation_loss']:.3f}  "
            f"{self._plan.task.epoch_in_words(record)}  {record['images_per_s']:.0f} images/s, "
            f"{record['data_wait_share']:.0%} wait"
        )
        if self._bar is None:
            console.note(line)
        else:
            self._bar.console.print(line, markup=False, highlight=False)
        self._log(record)

    def _log(self, record: Mapping[str, Any]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder / "tensorboard"))
        for key, value in record.items():
            if isinstance(value, float):
                self._writer.add_scalar(key, value, record["epoch"])
        self._writer.flush()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return pluralise(max(1, round(seconds)), "second")
    minutes = seconds / 60
    return pluralise(round(minutes), "minute") if minutes < 90 else f"{minutes / 60:.1f} hours"


def print_warnings(results: Mapping[str, Any]) -> None:
    """Prints what a user must know before using the model."""
    for warning in results.get("warnings") or ():
        console.note(f"warning: {warning}")


def print_averaged(results: Mapping[str, Any]) -> None:
    """Prints what each of the averaged runs scores alone."""
    for run in results["averaged"]:
        shown = task_of(results["task"]).main_score.shown
        scores = ", ".join(f"{split} {shown(score)}" for split, score in run["scores"].items())
        print(f"{escape(run['name'])} alone: {scores or 'not finished, so without a score'}")


def print_results(results: Mapping[str, Any], folder: Path) -> None:
    """Prints the scores, and the files to open next."""
    task = task_of(results["task"])
    for split, found in results["scores"].items():
        if found is not None:
            print(escape(task.score_line(split, found)))
    bundle = results["bundle"]
    path = escape(str(folder / bundle["path"]))
    print(f"bundle: {path}, {bundle['bytes'] / 1e6:.1f} MB")
    print(f"report: {escape(str(folder / 'report.html'))}")
    print(f"try it: litevision {task.verb} IMAGE --model {path}")


def _make_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        refresh_per_second=2,
        redirect_stdout=False,
        redirect_stderr=False,
    )
