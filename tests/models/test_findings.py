from pathlib import Path

import pytest

from jupyter_turbopilot.engine.llama.bindings import quantise
from jupyter_turbopilot.models import findings
from jupyter_turbopilot.models.findings import copy_with_adapters
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.models.tuning.merge import merged_copy
from jupyter_turbopilot.util.files import describe_size

from ..tiny_adapter import make


def test_copy_with_adapters_is_a_problem_only_if_it_cannot_be_created(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = [AdapterSpec(str(make(tmp_path / "a.gguf")))]
    assert list(copy_with_adapters(tmp_path, tiny_model, [])) == []
    assert list(copy_with_adapters(tmp_path, tiny_model, added)) == []  # the next load creates it
    with monkeypatch.context() as closed:
        closed.setattr(findings, "is_writable", lambda _: False)
        (finding,) = copy_with_adapters(tmp_path, tiny_model, added)
        assert finding.problem
        assert f"You may not write to {tmp_path}. Its owner can create the copy" in finding.text
    copy = merged_copy(tmp_path, tiny_model, added, quantise)
    (finding,) = copy_with_adapters(tmp_path, tiny_model, added)
    size = describe_size(copy.stat().st_size)
    assert (finding.problem, finding.text) == (False, f"with merged adapters, {size}, {copy}")
    assert list(copy_with_adapters(tmp_path, tiny_model, [AdapterSpec(str(tiny_model))])) == []
