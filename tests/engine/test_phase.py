from __future__ import annotations

import json

import pytest

from jupyter_turbopilot.engine.phase import EngineState, Phase, not_ready


def test_in_json_a_phase_is_the_word_that_editors_know() -> None:
    words = ["empty", "loading", "ready", "thinking", "asleep", "waking", "failed", "stopped"]
    assert json.loads(json.dumps(list(Phase))) == words


def test_whoever_sleeps_or_wakes_can_be_asked() -> None:
    ready = {phase for phase in Phase if EngineState(phase).ready}
    assert ready == {Phase.READY, Phase.THINKING, Phase.ASLEEP, Phase.WAKING}


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (EngineState(Phase.EMPTY), "empty", "No model is loaded."),
        (EngineState(Phase.LOADING, "m"), "loading", "m is being loaded."),
        (EngineState(Phase.STOPPED), "stopped", "The server is stopping."),
        (EngineState(Phase.FAILED, "m", "Too large.", "memory"), "memory", "Too large."),
        (EngineState(Phase.FAILED), "failed", "failed"),
    ],
)
def test_why_there_is_no_engine_is_an_error_in_words(state: EngineState, code: str, words: str) -> None:
    error = not_ready(state)
    assert (error.code, error.message) == (code, words)
    assert error.exit_status == 1


def test_not_ready_has_the_exit_status_of_the_failure() -> None:
    assert not_ready(EngineState(Phase.FAILED, "m", "It is damaged.", "model_refused", 2)).exit_status == 2
