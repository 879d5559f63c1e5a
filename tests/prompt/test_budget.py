from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.prompt.budget import WIDEST, keep_tail, pieces_left_out, read_head


@given(st.lists(st.integers(), max_size=400), st.integers(1, 300))
def test_what_is_kept_fits_and_is_the_end(tokens: list[int], room: int) -> None:
    kept = keep_tail(tokens, room)
    assert len(kept) <= room
    assert tokens[len(tokens) - len(kept) :] == kept
    assert len(kept) >= min(len(tokens), room - max(1, room // 4))


@given(st.integers(8, 200), st.integers(0, 600))
def test_a_keystroke_seldom_moves_the_start(room: int, length: int) -> None:
    starts = [length + more - len(keep_tail(list(range(length + more)), room)) for more in range(room // 4)]
    assert len(set(starts)) <= 2


@given(st.lists(st.integers(1, 400), max_size=12), st.integers(0, 300), st.integers(8, 1000))
def test_pieces_go_until_the_rest_and_its_outline_fit(sizes: list[int], near: int, room: int) -> None:
    gone = pieces_left_out(sizes, near, room)
    kept = sum(sizes[gone:])
    assert kept + near <= room or gone == len(sizes)
    if gone:
        assert kept + near + room // 8 <= room or gone == len(sizes)


def test_pieces_go_in_steps_so_that_a_key_seldom_changes_the_start() -> None:
    gone = [pieces_left_out([50] * 20, near, 1000) for near in range(200)]
    assert len(set(gone)) <= 3


def test_what_is_cut_before_it_is_tokenized_stays_while_somebody_types() -> None:
    text = "x = 1\n" * 100_000
    starts = {keep_tail(text + "y" * typed, 1000)[:20] for typed in range(100)}
    assert len(starts) <= 2


@given(st.text(max_size=300), st.integers(-2, 100))
def test_the_head_of_a_text_is_its_first_tokens_that_fit(text: str, room: int) -> None:
    given: list[str] = []

    def tokenize(text: str) -> list[int]:
        given.append(text)
        return [ord(char) for char in text]

    assert read_head(tokenize, text, room) == [ord(char) for char in text[: max(0, room)]]
    assert len(given[0]) <= WIDEST * max(0, room)  # what certainly does not fit is not tokenized


@given(st.text(max_size=20), st.integers(-5, 0))
def test_without_room_nothing_is_kept(text: str, room: int) -> None:
    assert keep_tail(text, room) == ""
