"""What an editor's next request finds of the one before."""

from __future__ import annotations

from jupyter_turbopilot.completer.progress import AnswerInProgress
from jupyter_turbopilot.generation import Ask, Token
from jupyter_turbopilot.prompt.formats import Prompt
from jupyter_turbopilot.suggestion.cache import Place, Results
from jupyter_turbopilot.suggestion.writing import Verbatim

HERE = Place("g", "x = ")


def progress(*texts: str) -> AnswerInProgress:
    writing = Verbatim()
    writing.take([Token(text.encode(), 0.9) for text in texts])
    return AnswerInProgress("one", HERE, writing, Ask([1, 2]))


def test_what_agrees_with_the_keys_since_is_left_and_what_contradicts_them_is_not() -> None:
    written = progress("al", "pha")
    rest = written.rest(Place("g", "x = alp"))
    assert rest is not None
    assert [token.data for token in rest.tokens] == [b"ha"]
    assert written.rest(Place("g", "x = b")) is None
    assert written.rest(Place("g", "y")) is None


def test_what_was_typed_ahead_is_to_be_written_first() -> None:
    written = progress()
    written.ahead = b"al"
    rest = written.rest(Place("g", "x = p"))
    assert rest is not None
    assert rest.ahead == b"alp"


def test_what_nobody_goes_on_with_is_kept_as_a_guess() -> None:
    results, written = Results(1 << 20), progress("al", "pha")
    written.keep(results)
    known = results.find(HERE)
    assert known is not None
    assert (known.text, known.complete) == ("alpha", False)
    assert (written.tokens, written.begun) == ((), False)
    assert written.rest(HERE) is not None  # nothing was written, which nothing contradicts


def test_the_engine_holds_the_prompt_and_all_that_was_written_behind_it() -> None:
    assert AnswerInProgress().evaluated == []
    assert AnswerInProgress(prompt=Prompt([1, 2]), ids=[3]).evaluated == [1, 2, 3]
