"""Every known magic and its language: `test_shared_cases.py`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.languages import cell_language, comment_mark

from ..twins import golden


@pytest.mark.parametrize(("source", "notebook", "language"), golden("languages", "cell_language"))
def test_a_cell_has_the_notebooks_language_unless_its_magic_names_another(
    source: str, notebook: str, language: str
) -> None:
    assert cell_language(source, notebook) == language


@given(st.text(max_size=60).filter(lambda source: "%%" not in source))
def test_without_a_magic_it_is_always_the_notebooks(source: str) -> None:
    assert cell_language(source, "julia") == "julia"


@pytest.mark.parametrize(("language", "mark"), golden("languages", "comment_mark"))
def test_comments_begin_as_their_language_has_them(language: str, mark: str) -> None:
    assert comment_mark(language) == mark
