from __future__ import annotations

import json

from ..process import jupyter


def test_it_is_said_which_model_suits_this_machine() -> None:
    done = jupyter("models", "recommend")
    assert done.returncode == 0
    assert done.stdout.count("recommended") == 1
    assert "guessed" in done.stdout
    assert "codegen-16b-mono" in jupyter("models", "recommend", "--all").stdout


def test_recommend_prints_json() -> None:
    done = jupyter("models", "recommend", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["measured"], found["cores"] > 0, found["free_memory"] > 0) == (False, True, True)
    assert [model["verdict"] for model in found["models"]].count("recommended") == 1
    assert all(model["memory"] > 0 < model["tokens_a_second"] for model in found["models"])
