"""Texts are processed in linear time, as in tests/faults/test_linear.py."""

from __future__ import annotations

import pytest

import turbopilot_research
from tests.faults.backtracking import Backtracking
from tests.faults.test_linear import check, patterns
from turbopilot_research.positions import kind_of_position
from turbopilot_research.train import corpus
from turbopilot_research.usage import log

# `ARMOUR` always matches, so no search starts again.
PATTERNS = {name: found for name, found in patterns(turbopilot_research) if not name.endswith(".ARMOUR")}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_have_no_repeat_beside_one_of_the_same_characters(name: str) -> None:
    assert not Backtracking(PATTERNS[name]).slow()


def test_corpus_recognizes_python_in_linear_time() -> None:
    check("corpus", corpus._is_python)


def test_usage_log_reads_text_in_linear_time() -> None:
    check("surroundings", lambda text: log.surroundings_of(text, text))
    check("position", kind_of_position)
    check("logged text", lambda text: log.loggable(text, log.surroundings_of(text, text)))
