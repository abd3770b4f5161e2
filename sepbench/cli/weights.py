"""``sepbench weights``: the weights of trained methods, here, elsewhere and in other formats."""

from __future__ import annotations

from pathlib import Path

import click

from sepbench.cli import options


@click.group("weights")
def command() -> None:
    """Exchange the weights of trained methods with other tools."""


@command.command("import")
@click.argument("name", metavar="FORMAT")
@click.argument("source", type=options.FOLDER)
@click.option("-o", "--out", type=options.FOLDER, required=True, help="The weight file to write.")
@options.json_option
def import_(name: str, source: Path, out: Path, as_json: bool) -> None:
    """Turn weights of another tool (file or folder SOURCE) into a weight file of sepbench.

    \b
    sepbench weights import mixin pretrained-models/ --out mixin.safetensors
    """
    from sepbench.cli.console import say, show_json
    from sepbench.training.exchange import read_weights

    header = read_weights(name, source, out)
    if as_json:
        show_json({"format": name, "source": str(source), "out": str(out), "header": header})
        return
    say(f"{out}: weights of {header.get('method', 'a method')}, made of {source}")
    if "method" in header:
        say(f"use them: sepbench separate -m '{header['method']}[weights={out}]' song.wav")


@command.command("export")
@click.argument("name", metavar="FORMAT")
@click.argument("source", type=options.FOLDER)
@click.option("-o", "--out", type=options.FOLDER, required=True, help="The file to write.")
@options.json_option
def export(name: str, source: Path, out: Path, as_json: bool) -> None:
    """Turn a weight file SOURCE of sepbench into what another tool reads."""
    from sepbench.cli.console import say, show_json
    from sepbench.training.exchange import write_weights

    write_weights(name, source, out)
    if as_json:
        show_json({"format": name, "source": str(source), "out": str(out)})
    else:
        say(f"{out}: made of {source} for {name}")
