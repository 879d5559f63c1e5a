from __future__ import annotations

import pytest

from jupyter_turbopilot.engine.isolated import verdict


@pytest.mark.parametrize(
    ("status", "output", "code"),
    [
        (-9, "", "memory"),
        (-15, "", "trial"),
        (-2, "", "trial"),
        (-6, "what():  std::bad_alloc", "memory"),
        (1, "MemoryError", "memory"),
        (-6, "GGML_ASSERT(false) failed", "model_refused"),
        (-11, "", "model_refused"),
        (0xC0000005, "", "model_refused"),
        (verdict.REFUSED, "it does not know this kind of model", "model_refused"),
        (verdict.REFUSED, "failed to open GGUF file (Too many open files)", "trial"),
        (1, "ModuleNotFoundError", "trial"),
    ],
)
def test_judge_separates_faults_of_the_file_from_others(status: int, output: str, code: str) -> None:
    assert verdict.judge(status, output).code == code


def test_a_missing_process_for_lack_of_memory_is_reported_as_such() -> None:
    refused = verdict.refusal("m.gguf", verdict.not_started(OSError(12, "Cannot allocate memory")))
    assert refused.code == "memory"
    assert "Cannot allocate memory" in refused.message
