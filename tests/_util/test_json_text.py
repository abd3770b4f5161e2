import json
import math

import pytest

from sepbench._util import json_text


def test_numbers_come_back_to_the_last_bit_and_nan_as_none() -> None:
    values = [0.1, 1e-300, -2.5, 5e-324, 1.7976931348623157e308, math.nan]
    text = json_text.dumps(values)
    assert json_text.loads(text.encode()) == [*values[:-1], None]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": NaN, "b": [NaN,NaN]}', {"a": None, "b": [None, None]}),
        ('{"a": "of NaN, here"}', {"a": "of NaN, here"}),
        ("[Infinity, -Infinity]", [math.inf, -math.inf]),
    ],
)
def test_what_museval_writes_is_read(text: str, value: object) -> None:
    assert json_text.loads(text.encode()) == value


@pytest.mark.parametrize("odd", ["caf\udce9", 2**70])
def test_what_orjson_cannot_write_is_written(odd: object) -> None:
    assert json.loads(json_text.dumps({"a": odd})) == {"a": odd}


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN NaN", '{"a": NaNa}'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its text is orjson's or json's
        json_text.loads(text.encode())
