from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util.digest import digest

PLAIN = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner).map(tuple))  # fmt: skip


@given(PLAIN, PLAIN)
def test_digest_is_equal_only_for_equal_values(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (repr(one) == repr(other))
    assert digest((one, other)) != digest(one, other)


def test_digest_is_the_same_in_every_process() -> None:
    message = "from jupyter_turbopilot.util.digest import digest; print(digest(('ü' * 5000, 1, None)).hex())"
    found = {
        subprocess.run(
            [sys.executable, "-c", message],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {digest(("ü" * 5000, 1, None)).hex()}
