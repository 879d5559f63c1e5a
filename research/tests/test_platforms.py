from __future__ import annotations

from tests.test_platforms import import_everything


def test_evaluation_can_be_imported_without_functions_of_posix() -> None:
    import_everything("turbopilot_research.evaluate")
