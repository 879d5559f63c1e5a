import argparse
from collections.abc import Callable

import pytest

from jupyter_turbopilot import cli
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.numeric_options import real, whole
from jupyter_turbopilot.util.bounds import MOST_CONTEXT, MOST_THREADS


@pytest.mark.parametrize(
    ("kind", "good", "bad", "allowed"),
    [
        (whole(1, 64), ("1", "64", "007"), ("0", "65", "-1", "1.5", "1_0", "9" * 5000, ""), "from 1 to 64"),
        (whole(-1, 9), ("-1", "0"), ("-2", "--1", "1e0"), "from -1 to 9"),
        (real(0.0, 2.0), ("0", "2", ".5", "1e-3"), ("-0.1", "2.1", "nan", "inf", "x"), "from 0 to 2"),
    ],
)
def test_numbers_out_of_range_are_rejected_with_the_range(
    kind: Callable[[str], float], good: tuple[str, ...], bad: tuple[str, ...], allowed: str
) -> None:
    assert [kind(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=allowed) as refused:
            kind(text)
        assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    "line",
    [
        "complete a.py --length 0",
        "complete a.py --length 2049",
        "complete a.py --temperature 5",
        "generate -n 0",
        "generate -b 0",
        "generate -t -1",
        "generate -c -5",
        "generate -s -7",
        "generate --top-k -1",
        "generate --top-p 1.1",
        "generate --temp nan",
        "serve --port 0",
        "serve --port 65536",
    ],
)
def test_options_out_of_range_name_option_and_range(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert line.split()[-2] in error
    assert "must be a " in error


def test_options_have_the_ranges_of_the_settings() -> None:
    traits = Turbopilot.class_traits()
    assert (traits["context_size"].max, traits["threads"].max) == (MOST_CONTEXT, MOST_THREADS)
