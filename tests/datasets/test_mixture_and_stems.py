import pytest
from songs import white

from sepbench.datasets.base import assemble

RATE = 8000
STEMS = {name: white(2, RATE, seed=i) for i, name in enumerate(("vocals", "accompaniment"))}
SUM = STEMS["vocals"] + STEMS["accompaniment"]


@pytest.mark.parametrize("mixture", [0.5 * SUM, white(2, RATE, seed=9), 0 * SUM])
def test_a_mixture_that_is_not_the_sum_of_its_stems_is_said(mixture: object) -> None:
    assert assemble("A", mixture, STEMS, RATE).notes == (  # type: ignore[arg-type]
        "the mixture is not the sum of the stems",
    )


def test_a_mastered_mixture_or_a_lone_stem_is_not_said() -> None:
    assert assemble("A", 0.8 * SUM, STEMS, RATE).notes == ()
    assert assemble("A", SUM, {"vocals": STEMS["vocals"]}, RATE).notes == ()
