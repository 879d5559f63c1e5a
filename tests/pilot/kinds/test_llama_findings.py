from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.store import Stored
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.models.tuning.fold import folded
from jupyter_turbopilot.pilot.kinds import llama_findings as module
from jupyter_turbopilot.pilot.kinds.llama_findings import copy_with_adapters, model_file

from ...tiny_adapter import make


@pytest.mark.parametrize(
    ("name", "verified", "words"),
    [
        ("qwen2.5-coder-0.5b", True, "checked by digest"),
        ("qwen2.5-coder-0.5b", False, "models verify"),
        ("starcoder2-3b", False, "its publisher gives no digest"),
    ],
)
def test_a_models_file_is_named_with_what_is_known_of_it(
    tiny_model: Path, name: str, words: str, *, verified: bool
) -> None:
    finding = model_file(find(name), Stored(tiny_model, 2_000_000, None, verified, ""))
    assert not finding.problem
    assert finding.text.startswith(f"{name}, 2 MB, ")
    assert words in finding.text
    assert finding.text.endswith(str(tiny_model))


def test_a_file_that_may_not_be_read_is_a_problem(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_readable", lambda _: False)
    finding = model_file(find("smollm2-135m"), Stored(tiny_model, 1, None, True, ""))
    assert finding.problem
    assert str(tiny_model) in finding.text


def test_a_copy_is_named_where_it_is_and_a_problem_only_where_this_person_cannot_make_it(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = [AdapterSpec(str(make(tmp_path / "a.gguf")))]
    assert list(copy_with_adapters(tmp_path, tiny_model, [])) == []
    assert list(copy_with_adapters(tmp_path, tiny_model, added)) == []  # the next load makes it
    with monkeypatch.context() as closed:
        closed.setattr(module, "is_writable", lambda _: False)
        (finding,) = copy_with_adapters(tmp_path, tiny_model, added)
        assert finding.problem
        assert f"You may not write to {tmp_path}: whoever keeps it makes the copy" in finding.text
    copy = folded(tmp_path, tiny_model, added)
    (finding,) = copy_with_adapters(tmp_path, tiny_model, added)
    assert (finding.problem, finding.text) == (False, f"has the adapters in it, {copy}")
    assert list(copy_with_adapters(tmp_path, tiny_model, [AdapterSpec(str(tiny_model))])) == []
