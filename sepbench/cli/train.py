"""``sepbench train``: trains a separator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench._util.allocator import keep_freed_memory
from sepbench.cli import options
from sepbench.cli.completion import complete_method

if TYPE_CHECKING:
    from sepbench.training.data.choice import Choice
    from sepbench.training.epoch import Epoch
    from sepbench.training.train import Training, TrainingResult
    from sepbench.training.training_config import TrainingConfig


@click.command("train")
@click.argument("method", metavar="METHOD", shell_complete=complete_method)
@click.option(
    "-d", "--data", multiple=True, required=True, type=options.NAME, metavar="DIR|NAME",
    help="Folder made by 'sepbench prepare', or a folder of songs; may be repeated.",
)  # fmt: skip
@click.option(
    "-c", "--config", "where", default="default", show_default=True, metavar="NAME|FILE",
    help="A config of the method, or a YAML file.",
)  # fmt: skip
@click.option(
    "-o", "--out", type=options.PATH,
    help="Folder of the run; runs/METHOD if not given.",
)  # fmt: skip
@click.option(
    "--init", type=options.PATH, metavar="FILE|RUN",
    help="Start from these weights, or from the best of this run, instead of random ones.",
)  # fmt: skip
@click.option(
    "--teacher", metavar="METHOD[:SONGS]", shell_complete=complete_method,
    help="Label songs without stems by METHOD; see the config's section 'teacher'.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue after the last whole epoch of the run.")
@click.option("--find-rate", is_flag=True, help="Only print the loss by learning rate, and stop.")
@options.choice_options
@options.device_option
@options.json_option
@click.option("--threads", type=options.Whole(min=1), help="Processor threads; all if not given.")
@click.option("--epochs", type=options.Whole(min=1), help="Total number of epochs.")
@click.option("--examples", type=options.Whole(min=1), help="Examples in an epoch.")
@click.option("--batch-size", type=options.Whole(min=1), help="Examples in a step.")
@click.option(
    "--learning-rate",
    type=options.Number(min=0, min_open=True),
    help="Highest learning rate of the schedule.",
)
@click.option("--schedule", help="fixed, step, noam, one-cycle or trapezoid.")
@click.option(
    "--validate-every", type=options.Whole(min=1), metavar="N",
    help="Validate every N epochs, and after the first and the last.",
)  # fmt: skip
@click.option(
    "--passages", type=options.Whole(min=1), metavar="N",
    help="Most passages of each source that are scored.",
)  # fmt: skip
@click.option(
    "--pictures", type=options.Whole(min=0), metavar="N",
    help="Draw passages every N epochs: mixture, true stem, mask, estimate and error.",
)  # fmt: skip
@click.option("--shown", type=options.Whole(min=1), metavar="N", help="Passages that are drawn.")
@click.option(
    "--seed", type=options.ANY_WHOLE, help="Seed of examples, initial weights and dropout."
)
@click.option("--workers", type=options.Whole(min=0), help="Processes that mix examples.")
def command(
    method: str,
    data: tuple[str, ...],
    where: str,
    out: Path | None,
    init: Path | None,
    teacher: str | None,
    resume: bool,
    find_rate: bool,
    choice: Choice,
    device: str,
    threads: int | None,
    as_json: bool,
    **changes: Any,
) -> None:
    """Train METHOD and write its weights.

    \b
    sepbench prepare corpus/ -o prepared/
    sepbench train unet -d prepared/ -o runs/unet
    sepbench train unet -d prepared/ -o runs/unet --resume --epochs 80
    sepbench train unet -d prepared/ -o runs/more --init runs/unet --learning-rate 0.0003
    sepbench separate -m 'unet[weights=runs/unet/weights.safetensors]' song.wav

    Options override the config. After every epoch the run is scored on songs of the split 'valid'
    and saved. If it is stopped, --resume continues with the same result as an uninterrupted run. At
    the end OUT has the learning curves (curves.png) and the losses and scores on songs of all three
    splits (scores.json). TensorBoard logs are in OUT/logs, and pictures of separated passages
    (--pictures) in OUT/pictures.
    """
    from sepbench.cli.console import say, warn
    from sepbench.training.train import open_training

    keep_freed_memory()
    training = open_training(
        method,
        data,
        config=where,
        out=out,
        resume=resume,
        init=init,
        teacher=teacher,
        find_rate=find_rate,
        device=device,
        threads=threads,
        choice=choice,
        changes={name: value for name, value in changes.items() if value is not None},
    )
    for line in training.skipped:
        warn(f"skipped {line}")
    if find_rate:
        _show_rates(training.find_learning_rate(), as_json)
        return
    say(training.summary())
    _show(_fit(training), training, as_json)


def _fit(training: Training) -> TrainingResult:
    """Train with a progress bar, and print a line per epoch."""
    from sepbench.cli.console import counting, say, warn

    method, settings = training.run.trainable.method, training.run.settings
    unit = training.run.trainable.score_unit
    with counting() as bar:
        task = bar.add_task(method, total=training.steps, completed=training.steps_done)

        def on_epoch(epoch: Epoch) -> None:
            say(_line(epoch, settings.epochs, unit))
            for part, reason in epoch.not_learning.items():
                warn(
                    f"{part} learns nothing: after an epoch {reason}; start again with another "
                    "--seed, or with 'start: keras' in the config's section 'training'"
                )

        def on_step(step: int, loss: float) -> None:
            bar.update(task, completed=step + 1, description=f"{method}  loss {loss:.3f}")

        return training.fit(on_epoch=on_epoch, on_step=on_step)


def _show_rates(found: Iterator[tuple[float, float]], as_json: bool) -> None:
    """Print learning rates with the loss at each."""
    from sepbench.cli.console import show_json

    if as_json:
        show_json([{"learning_rate": rate, "loss": loss} for rate, loss in found])
        return
    for rate, loss in found:
        click.echo(f"{rate:.2e}  {loss:.4f}")


def _show(result: TrainingResult, training: Training, as_json: bool) -> None:
    """Print the results of a training."""
    from sepbench.cli.console import say, show_json
    from sepbench.training.curves import is_loss

    unit = training.run.trainable.score_unit
    best = _best(result.best, training.run.settings, unit)
    say(f"best: epoch {result.best_epoch}, {best}; weights in {result.weights}")
    for subset, scores in result.scores.items():
        shown = {name: value for name, value in scores.items() if not is_loss(name)}
        say(f"{subset:5}  loss {scores['loss']:.4f}  {_shown(shown, unit)}")
    say(f"curves in {result.curves}, scores in {result.curves.with_name('scores.json')}")
    if as_json:
        show_json(
            {
                "weights": str(result.weights),
                "best_epoch": result.best_epoch,
                "scores": result.scores,
                "curves": str(result.curves),
            }
        )


def _best(best: float, settings: TrainingConfig, unit: str) -> str:
    return (
        f"{best:.2f} {unit}".rstrip() if settings.best == "sdr" else f"validation loss {-best:.4f}"
    )


def _shown(scores: dict[str, float], unit: str) -> str:
    """Return scores by source; those in dB are SDR."""
    text = "  ".join(f"{name} {value:.2f}" for name, value in scores.items())
    return f"SDR {text} dB" if unit == "dB" else text


def _line(epoch: Epoch, epochs: int, unit: str) -> str:
    minutes = epoch.seconds * (epochs - epoch.number) / 60
    found = ""
    if epoch.scores:
        found = f"validation loss {epoch.validation_loss:.4f}  {_shown(epoch.scores, unit)}"
    return (
        f"epoch {epoch.number}/{epochs}  loss {epoch.loss:.4f}  {found}"
        f"{'  best' if epoch.is_best else ''}  waited {epoch.waiting:.0%}  {minutes:.0f} min left"
    )
