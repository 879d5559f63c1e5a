from __future__ import annotations

from ..process import jupyter


def test_it_is_said_which_model_suits_this_machine() -> None:
    done = jupyter("models", "recommend")
    assert done.returncode == 0
    assert done.stdout.count("recommended") == 1
    assert "guessed" in done.stdout
    assert "codegen-16b-mono" in jupyter("models", "recommend", "--all").stdout
