"""``sepbench train``: trains a learned separator on songs, voices and backings."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench._util.files import write_atomic
from sepbench.cli import options
from sepbench.errors import SepbenchError
from sepbench.options import parse_spec

if TYPE_CHECKING:
    from sepbench.separator import Separator
    from sepbench.training.data.prepare import PreparedDataset
    from sepbench.training.loop import Epoch, Run
    from sepbench.training.model import Trainable

_PLAN = ("epochs", "examples", "batch_size", "learning_rate", "schedule", "seed", "workers")


@click.command("train")
@click.argument("method", metavar="METHOD")
@click.option(
    "-d", "--data", multiple=True, required=True, type=options.NAME, metavar="DIR|NAME",
    help="Folder prepared by 'sepbench prepare', or what that takes; may be repeated.",
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
    help="Begin with these weights, or with the best of this run, in place of random ones.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the last whole epoch of the run.")
@click.option("--find-rate", is_flag=True, help="Only print the loss by learning rate, and stop.")
@options.device_option
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads; all if not given.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs in all.")
@click.option("--examples", type=click.IntRange(min=1), help="Examples in an epoch.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Examples in a step.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="The highest.")
@click.option("--schedule", help="fixed, step, noam, one-cycle or trapezoid.")
@click.option("--seed", type=int, help="Of examples, first weights and dropout.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes that mix examples.")
def command(
    method: str,
    data: tuple[str, ...],
    where: str,
    out: Path | None,
    init: Path | None,
    resume: bool,
    find_rate: bool,
    device: str,
    threads: int | None,
    **given: Any,
) -> None:
    """Train METHOD and write its weights.

    \b
    sepbench prepare corpus/ -o prepared/
    sepbench train unet -d prepared/ -o runs/unet
    sepbench train unet -d prepared/ -o runs/unet --resume --epochs 80
    sepbench train unet -d prepared/ -o runs/more --init runs/unet --learning-rate 0.0003
    sepbench separate -m 'unet[weights=runs/unet/weights.safetensors]' song.wav

    Options that are given replace those of the config. After every epoch the run is scored on songs
    of the split 'val' and saved; stopped at any moment, --resume goes on as if it had never been
    stopped. In the end OUT holds the learning curves as a picture (curves.png) and the scores on
    songs of all three splits (scores.json). Logs for TensorBoard are in OUT/logs.
    """
    import torch

    from sepbench.cli.console import counting, say, warn
    from sepbench.inference.runner import choose_device
    from sepbench.training.config import read_config
    from sepbench.training.curves import draw_curves
    from sepbench.training.data.sources import prepared_dataset
    from sepbench.training.export import describe, export
    from sepbench.training.loop import Run
    from sepbench.training.lr_finder import find_learning_rate
    from sepbench.training.stem_examples import examples_of
    from sepbench.training.validate import passages

    chosen_device = choose_device(device)
    if threads:
        torch.set_num_threads(threads)
    changes = {name: given[name] for name in _PLAN if given[name] is not None}
    separator = _learned(method)
    config = read_config(method, where, changes, folder=getattr(separator, "folder", None))
    trainable = _build(separator, config.model, where)
    folder = out or Path("runs") / method
    if resume and init:
        raise SepbenchError("--resume goes on with a run's own weights; leave out --init")
    if resume and not (folder / "last.pt").is_file():
        raise SepbenchError(f"{folder}: no run to go on with; leave out --resume to begin one")
    if (folder / "last.pt").exists() and not (resume or find_rate):
        raise SepbenchError(
            f"{folder}: holds a run already; go on with it by --resume, or give another --out"
        )
    cache, skipped = prepared_dataset(data, folder / "data", trainable.rate)
    for line in skipped:
        warn(f"skipped {line}")
    plan = config.plan
    count = plan.epochs * plan.examples
    examples = examples_of(
        trainable.stems, cache.split("train"), config.recipe, seed=plan.seed, count=count
    )
    run = Run(trainable, plan, folder, chosen_device, describe(config, cache))
    if init:
        run.begin_from(init)
    if find_rate:
        for rate, loss in find_learning_rate(run, examples):
            click.echo(f"{rate:.2e}  {loss:.4f}")
        return
    if resume:
        run.resume()
    parameters = sum(parameter.numel() for parameter in run.network.parameters())
    tracks = ", ".join(f"{len(cache.split(s).tracks)} {s}" for s in ("train", "val", "test"))
    say(f"{method}: {parameters:,} parameters, {cache.hours:.1f} hours of data ({tracks})")
    with counting() as bar:
        steps = plan.epochs * plan.steps_per_epoch
        done = run.epoch * plan.steps_per_epoch
        task = bar.add_task(method, total=steps, completed=done)

        def on_step(step: int, loss: float) -> None:
            bar.update(task, completed=step + 1, description=f"{method}  loss {loss:.3f}")

        chosen = passages(cache, stems=trainable.stems)
        run.train(
            examples,
            chosen,
            on_epoch=lambda epoch: say(_line(epoch, plan.epochs)),
            on_step=on_step,
        )
    best = run.settle(examples, chosen)
    file = folder / "weights.safetensors"
    export(folder, trainable, file)
    say(f"best: epoch {run.best_epoch}, {best:.2f} dB; weights in {file}")
    draw_curves({method: run.history}, folder / "curves.png")
    scores = _split_scores(run, cache)
    write_atomic(folder / "scores.json", json.dumps(scores, indent=1))
    for split, values in scores.items():
        say(f"{split:5}  SDR {_decibels(values)}")
    say(f"curves in {folder / 'curves.png'}, scores in {folder / 'scores.json'}")


def _split_scores(run: Run, cache: PreparedDataset) -> dict[str, dict[str, float]]:
    """Return the scores of the best weights on songs of every split that has any with vocals.

    Of the songs that were trained on some will do.
    """
    from sepbench.training.validate import passages, validate

    network, scores = run.best_network(), {}
    for split in ("train", "val", "test"):
        some = 12 if split == "train" else None
        with suppress(SepbenchError):  # a split may have no such songs
            chosen = passages(cache, stems=run.trainable.stems, split=split, songs=some)
            scores[split] = validate(run.trainable, network, chosen, device=run.device)
    return scores


def _learned(method: str) -> type[Separator]:
    """Return a separator that can be trained, with weights or without; raise for any other."""
    from sepbench import registry

    name, values = parse_spec(method)
    if values:
        raise SepbenchError(
            f"method {method}: give its name without options, {name!r}; what decides on training "
            "stands in the config"
        )
    separator = registry.resolve(name)[0].separator
    if not hasattr(separator, "trainable"):
        known = [
            entry.name for entry in registry.plugins() if hasattr(entry.separator, "trainable")
        ]
        raise SepbenchError(f"method {name} is not trained here; choose one of {', '.join(known)}")
    return separator


def _build(separator: Any, model: dict[str, Any], where: str) -> Trainable:
    """Make a separator's model of a config's section; raise `SepbenchError` for one of no network.

    ``where`` is the config.
    """
    from importlib import import_module

    import torch

    from sepbench.training.model import BADLY_DESCRIBED, wrong_field

    module, _, name = separator.trainable.partition(":")
    kind = getattr(import_module(module), name)
    try:
        trainable: Trainable = kind(model)
        with torch.device("meta"):  # No memory is taken to try it.
            trainable.network()
    except BADLY_DESCRIBED as error:
        raise SepbenchError(
            f"config {where!r}: its model is no network of {separator.name}, {wrong_field(error)}; "
            f"see the config 'default' of {separator.name}"
        ) from error
    return trainable


def _decibels(scores: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.2f}" for name, value in scores.items()) + " dB"


def _line(epoch: Epoch, epochs: int) -> str:
    minutes = epoch.seconds * (epochs - epoch.number) / 60
    return (
        f"epoch {epoch.number}/{epochs}  loss {epoch.loss:.4f}  SDR {_decibels(epoch.scores)}"
        f"{'  best' if epoch.is_best else ''}  waited {epoch.waiting:.0%}  {minutes:.0f} min left"
    )
