from __future__ import annotations

import pytest

from jupyter_turbopilot.plugins.usage.private_text import LONGEST, loggable, surroundings_of


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        ("x = 1\n", 'password = "hunter2"', ""),
        ('password = "', 'hunter22"', ""),
        ('password = "', "hunter22", '"'),
        ("password = (\n    ", '"hunter22")', "\n"),
        ("", 'x = 1\npassword = "hunter2"', ""),
        ("", "x" * (LONGEST + 1), ""),
    ],
)
def test_loggable_rejects_possible_secrets(before: str, text: str, after: str) -> None:
    assert loggable(text, surroundings_of(before, after)) is None


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [("x = ", "values.mean()", ""), ('password = "hunter2"\n\n\n\n\n', "x = 1", "\ny = 2"), ("", "😀", "")],
)
def test_loggable_accepts_other_text(before: str, text: str, after: str) -> None:
    assert loggable(text, surroundings_of(before, after)) == text


BODY = "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfnaaaabbbbccccddddeeeeffffgggghhhh\n"


def armour(kind: str) -> tuple[str, str]:
    return f"key = [-----BEGIN {kind}-----\n", f"-----END {kind}-----]\n"


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "CERTIFICATE"])
@pytest.mark.parametrize("lines", [0, 5, 200])
def test_loggable_rejects_text_inside_an_armoured_key(kind: str, lines: int) -> None:
    begin, end = armour(kind)
    above = f"import os\n{begin}{BODY * lines}"
    assert loggable("dBzkYpRtQx", surroundings_of(above, "")) is None
    assert loggable("dBzkYpRtQx", surroundings_of(above, f"\n{BODY}{end}")) is None
    assert loggable("ND", surroundings_of(above + end[:6], "")) is None
    assert loggable("x.mean()", surroundings_of(f"{above}{end}\n\n\ny = ", "")) == "x.mean()"


def test_loggable_rejects_text_that_begins_an_armoured_key() -> None:
    begin, end = armour("CERTIFICATE")
    assert loggable(f"{begin}{BODY}", surroundings_of("x = 1\n", "")) is None
    assert loggable(begin[12:], surroundings_of(begin[:12], "")) is None
    assert loggable("dBzk", surroundings_of(f"{begin}{BODY}{end}{begin}{BODY * 9}", "")) is None
    assert loggable("y = 2", surroundings_of("x = 1\n", f"\n{begin}abc\n{end}")) == "y = 2"
