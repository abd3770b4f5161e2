"""``sepbench weights import|show|average|export``: commands on weight files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sepbench.cli import options
from sepbench.errors import SepbenchError


@click.command("import", short_help="Convert weights of another tool.")
@click.argument("name", metavar="FORMAT")
@click.argument("source", type=options.PATH)
@click.option("-o", "--out", type=options.PATH, required=True, help="The weight file to write.")
@options.json_option
def import_(name: str, source: Path, out: Path, as_json: bool) -> None:
    """Convert weights of another tool (file or folder SOURCE) to a weight file of sepbench.

    FORMAT is 'mixin', 'nussl', 'spleeter', 'cdae' (three stems to four), or one of a plugin.

    \b
    sepbench weights import mixin pretrained-models/ --out mixin.safetensors
    """
    from sepbench.cli.console import say, show_json
    from sepbench.weights.formats import open_format, read_weights

    header = read_weights(name, source, out)
    if as_json:
        show_json({"format": name, "source": str(source), "out": str(out), "header": header})
        return
    say(f"{out}: weights of {header.get('method', 'a method')}, made of {source}")
    if config := getattr(open_format(name), "trains_by", None):
        what = f"{header['method']} --config {config} --init {out}"
        say(f"train on from them: sepbench train {what} -d SONGS")
    elif "method" in header:
        say(f"use them: sepbench separate -m '{header['method']}[weights={out}]' song.wav")


@click.command("show", short_help="Print the metadata of a weight file.")
@click.argument("file", type=options.PATH)
@options.json_option
def show(file: Path, as_json: bool) -> None:
    """Print the metadata of a weight FILE, without running any code in it.

    Files of sepbench, safetensors of others, PyTorch (.pt, .pth, .ckpt), Keras (.h5) and ONNX.

    \b
    sepbench weights show runs/unet/weights.safetensors
    """
    import math

    from sepbench._util.text import printable
    from sepbench.cli.console import show_json
    from sepbench.weights.inspect import inspect

    found = inspect(file)
    numbers = [size for size in found["tensors"].values() if all(isinstance(n, int) for n in size)]
    if as_json:
        show_json(found)
        return
    click.echo(f"{file}: {found['format']}, {len(found['tensors'])} tensors, "
               f"{sum(map(math.prod, numbers)):,} numbers")  # fmt: skip
    for key, value in found["header"].items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        click.echo(printable(f"  {key}: {text[:400]}"))
    for tensor, shape in found["tensors"].items():
        click.echo(printable(f"  {tensor} {' x '.join(map(str, shape)) or 'scalar'}"))


@click.command("average", short_help="Write the mean of several weight files.")
@click.argument("files", nargs=-1, required=True, type=options.PATH, metavar="FILE FILE...")
@click.option("--shares", metavar="NUMBER,...", help="Weight of each FILE; equal if not given.")
@click.option(
    "--only", metavar="GLOB", default="*",
    help="Average these tensors, such as 'vocals.*'; the others are those of the first FILE.",
)  # fmt: skip
@click.option("-o", "--out", type=options.PATH, required=True, help="The weight file to write.")
@options.json_option
def average(
    files: tuple[Path, ...], shares: str | None, only: str, out: Path, as_json: bool
) -> None:
    """Write the mean of weight FILEs of one network: of several runs, or of a run and its start.

    \b
    sepbench weights average old.safetensors runs/unet/weights.safetensors -o mean.safetensors
    """
    from sepbench.cli.console import say, show_json
    from sepbench.weights import averaging
    from sepbench.weights.formats import check_name

    check_name(out)
    try:
        numbers = [float(share) for share in shares.split(",")] if shares else [1.0] * len(files)
    except ValueError:
        raise SepbenchError(f"--shares {shares}: write numbers such as 0.6,0.4") from None
    header = averaging.average(files, numbers, out, only=only)
    if as_json:
        show_json({"out": str(out), "method": header["method"], "files": [*map(str, files)]})
    else:
        say(f"{out}: mean of {len(files)} weight files of {header['method']}")


@click.command("export", short_help="Convert a weight file for another tool.")
@click.argument("name", metavar="[FORMAT]")
@click.argument("source", type=options.PATH, required=False)
@click.option(
    "-o", "--out", type=options.PATH,
    help="The file to write.  [default: weights.safetensors in a run's folder, or the name of "
    "its checkpoint with .safetensors]",
)  # fmt: skip
@options.json_option
def export(name: str, source: Path | None, out: Path | None, as_json: bool) -> None:
    """Convert a weight file SOURCE of sepbench to the FORMAT of another tool, such as 'nussl'.

    Without FORMAT, SOURCE is the folder or a checkpoint of a stopped run, and a weight file is made
    from it.

    \b
    sepbench weights export nussl runs/blstm/weights.safetensors --out best.model.pth
    sepbench weights export runs/unet
    """
    from sepbench.cli.console import say, show_json
    from sepbench.training.run_weights import WEIGHTS

    if source is None:
        name, source = "safetensors", Path(name)
    if out is None and name == "safetensors":
        # The last weights of a run must not replace its best.
        out = source / WEIGHTS if source.is_dir() else source.with_suffix(".safetensors")
    if out is None:
        raise click.UsageError("give --out FILE, the file to write")
    if name == "safetensors":
        from sepbench.training.export import export_run
        from sepbench.weights.formats import check_name

        check_name(out)
        export_run(source, out)
    else:
        from sepbench.weights.formats import write_weights

        write_weights(name, source, out)
    if as_json:
        show_json({"format": name, "source": str(source), "out": str(out)})
    else:
        say(f"{out}: written from {source}")
