"""What a shell is offered after ``-m``."""

from __future__ import annotations

import click
import pytest
from click.shell_completion import ShellComplete

from sepbench.cli.main import main


def offered(*words: str) -> list[str]:
    """What click offers for the last word of a command line."""
    *before, typed = words
    completion = ShellComplete(main, {}, "sepbench", "_SEPBENCH_COMPLETE")
    return [item.value for item in completion.get_completions(list(before), typed)]


@pytest.mark.parametrize("verb", ["separate", "evaluate"])
def test_methods_are_offered_by_their_names(verb: str) -> None:
    assert offered(verb, "-m", "mask") == ["mask-cnn"]
    assert {"hpss", "unet", "repet-sim"} <= set(offered(verb, "-m", ""))


def test_options_of_a_method_are_offered_after_its_bracket() -> None:
    names = offered("separate", "-m", "hpss[")
    assert "hpss[margin=" in names
    second = "hpss[margin=2,margin_percussive="
    assert offered("separate", "-m", "hpss[margin=2,margin_p") == [second]
    recipes = offered("separate", "-m", "repet-sim[recipe=")
    assert "repet-sim[recipe=librosa" in recipes
    assert offered("separate", "-m", "nothing[") == []


def test_commands_and_their_options_are_offered() -> None:
    assert offered("sep") == ["separate"]
    assert "--two-stems" in offered("separate", "--two")
    assert {"--quiet", "--verbose", "--debug"} <= set(offered("separate", "--"))
    assert "mp3" in offered("separate", "--format", "")


def test_a_method_takes_part_in_completion_everywhere_it_can_be_given() -> None:
    for verb in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main), verb)
        assert command is not None
        for param in command.params:
            if "--method" in param.opts and param.name == "specs":
                assert offered(verb, "--method", "hps") == ["hpss"], verb


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["methods", "hps"], ["hpss"]),
        (["train", "mask"], ["mask-cnn"]),
        (["weights", "fetch", "sple"], ["spleeter"]),
        (["plugin", "check", "repet"], ["repet-sim"]),
        (["metrics", "bss"], ["bsseval"]),
        (["evaluate", "--metric", "percep"], ["perceptual"]),
        (["data", "musdb18-h"], ["musdb18-hq"]),
        (["evaluate", "--dataset", "simul"], ["simulated"]),
        (["score", "stems", "--references", "simul"], ["simulated"]),
        (["prepare", "songs", "--teacher", "hps"], ["hpss"]),
        (["report", "--protocol", "sisec"], ["sisec18"]),
        (["report", "--protocol", "s"], ["sisec18", "si-sdr", "silence"]),
    ],
)
def test_names_are_offered_where_they_are_meant(words: list[str], names: list[str]) -> None:
    assert offered(*words) == names
