from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sepbench.cli import console

LONG = "ensemble[unet+mask-cnn+repet-sim,domain=masks]"
NUMBERS = [["-12.34", "9.01", "5.67"], ["0.12", "8.90", "-3.21"]]


@pytest.fixture
def table() -> Table:
    made = Table(box=None, padding=(0, 1, 0, 0))
    made.add_column("method")
    for stem in ("vocals", "accompaniment", "harmonic"):
        made.add_column(stem, justify="right", no_wrap=True)
    made.add_row(escape(LONG), *NUMBERS[0])
    made.add_row("unet", *NUMBERS[1])
    return made


def shown(table: Table, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    out = Console(file=io.StringIO(), width=width, color_system=None)
    monkeypatch.setattr(console, "Console", lambda **more: out)
    console.show(table)
    return out.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [30, 40, 50, 60, 80])
def test_no_terminal_is_too_narrow_for_every_digit_and_letter(
    table: Table, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(table, width, monkeypatch)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    words = text.split()
    for word in ("vocals", "accompaniment", "harmonic", *NUMBERS[0], *NUMBERS[1]):
        assert words.count(word) == 1
    # A long name goes on in the next line.
    starts = [line.split()[0] for line in text.splitlines() if not line.startswith(" ")]
    assert LONG in "".join(starts)


def test_rows_that_are_empty_in_a_part_are_left_out_of_it(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.add_row("hpss", "", "", "1.00")
    assert shown(table, 40, monkeypatch).split().count("hpss") == 1


def test_a_table_that_fits_is_whole(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shown(table, 80, monkeypatch).splitlines()) == 3


def test_other_columns_wrap_before_a_long_word_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Table("method", "size", "from", box=None)
    address = "https://example.org/" + "x" * 40
    made.add_row("learned", "size not known", address)
    text = shown(made, 80, monkeypatch)
    assert address in text.split()
    assert "…" not in text


def test_names_are_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    """``:b:`` in the name of a song is printed as it is, in lines and in tables."""
    table = Table("track")
    table.add_row("a:b:c")
    console.show(table)
    assert "a:b:c" in capsys.readouterr().out
    with console.messages.capture() as captured:
        console.warn("a:b:c")
        console.say("a:b:c")
    assert captured.get() == "warning: a:b:c\na:b:c\n"
