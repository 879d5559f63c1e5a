import pytest

from jupyter_turbopilot.util.failures import on_failure


def test_on_failure_undoes_and_raises_even_for_an_interrupt() -> None:
    undone: list[str] = []
    with pytest.raises(KeyboardInterrupt), on_failure(lambda: undone.append("it")):
        raise KeyboardInterrupt
    assert undone == ["it"]


def test_on_failure_can_ignore_a_kind_of_error() -> None:
    undone: list[str] = []
    with pytest.raises(KeyError), on_failure(lambda: undone.append("it"), unless=(LookupError,)):
        raise KeyError
    assert undone == []
