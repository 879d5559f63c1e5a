from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.drives import names_of


def test_a_path_may_have_a_drive_before_it_or_a_colon_in_it() -> None:
    assert names_of("RTC:work/a.ipynb") == ("RTC:work/a.ipynb", "work/a.ipynb")
    assert names_of("/notes 10:30/a.ipynb") == ("notes 10:30/a.ipynb", "30/a.ipynb")
    assert names_of("work/a.ipynb") == ("work/a.ipynb", "work/a.ipynb")


@given(st.text())
def test_the_path_itself_is_always_one_of_them(path: str) -> None:
    assert names_of(path)[0] == path.strip("/")
