from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.reply import Item, Reply
from jupyter_turbopilot.request import Cell, Completion, Feedback
from jupyter_turbopilot.study import log as module
from jupyter_turbopilot.study.events import OTHER
from jupyter_turbopilot.study.lines import Event, events_of
from jupyter_turbopilot.study.log import Study, known_language, name_of

MODEL = "qwen2.5-coder-0.5b"


class Desk:
    """An editor whose suggestions are logged."""

    def __init__(self, path: Path, *, text: bool = False, where: str = "server") -> None:
        self.path = path
        self.study = Study(path, text=text, where=where)  # type: ignore[arg-type]
        self.heard: list[Reply] = []

    def ask(
        self,
        answers: list[str],
        name: str = "a",
        source: str = "x = ",
        *,
        score: float = 0.8,
        model: str = MODEL,
        recalled: bool = False,
        **more: object,
    ) -> None:
        asked: dict[str, object] = {"client": "editor", "trigger": "automatic", "path": "home/ada/a.ipynb"}
        request = Completion(cells=[Cell(source=source)], offset=len(source), **asked | more)  # type: ignore[arg-type]
        listen = self.study.follow(request, self.heard.append)
        for number, answer in enumerate(answers):
            item = Item(answer, score + number / 100, "stop", recalled=recalled)
            done = number == len(answers) - 1
            listen(Reply(name, model, (item,) if answer else (), done=done))

    def tell(self, event: str, chars: int, name: str = "a", **more: object) -> None:
        self.study.receive(Feedback(id=name, event=event, chars=chars, **more))  # type: ignore[arg-type]

    def read(self) -> list[Event]:
        self.study.close()
        events, broken = events_of(self.path.read_bytes().split(b"\n"))
        assert not broken
        return events


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    monkeypatch.setattr("jupyter_turbopilot.study.writer.PATIENCE", 10.0)
    made: list[Desk] = []

    def make(**more: object) -> Desk:
        made.append(Desk(tmp_path / "study.jsonl", **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.study.close()


def test_a_suggestion_from_its_request_to_what_is_left_of_it(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(["val", "values.mean()"])
    d.tell("shown", 13, length=13)
    d.tell("accepted", 13, length=13, seconds=1.34)
    d.tell("retained", 12, length=13, seconds=31)
    d.tell("retained", 5, length=13, seconds=305)
    session, requested, shown, taken, soon, later, ended = d.read()
    now = time.time()
    assert all(abs(event["t"] - now) < 60 for event in (session, requested, shown, taken, soon, later, ended))
    assert (session["model"], session["eagerness"], session["where"]) == (MODEL, "balanced", "server")
    assert session["text"] is False
    name = f"{session['session']}.1"
    assert {event["id"] for event in (requested, shown, taken, soon, later)} == {name}
    assert (requested["at"], requested["requests"], requested["written"]) == ("after =", 1, 0)
    assert {"trigger", "language"}.isdisjoint(requested)
    assert requested["ms"] >= 0
    assert (shown["chars"], shown["score"]) == (13, 0.81)
    assert taken == {"t": taken["t"], "event": "taken", "id": name, "chars": 13, "after": 1.3}
    assert [(event["chars"], event["after"]) for event in (soon, later)] == [(12, 31), (5, 305)]
    assert ended["requests"] == 0
    assert len(d.heard) == 2


def test_its_five_lines_are_short(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(["values.mean()"])
    for event, seconds in (("shown", 0), ("accepted", 1.3), ("retained", 31), ("retained", 305)):
        d.tell(event, 13, length=13, seconds=seconds)
    d.read()
    lines = d.path.read_bytes().splitlines(keepends=True)
    assert sum(map(len, lines[1:6])) <= 440


@pytest.mark.parametrize("event", ["dismissed", "typed_over"])
def test_what_ends_otherwise_is_logged_with_how_much_was_typed(desk: Callable[..., Desk], event: str) -> None:
    d = desk()
    d.ask(["values"])
    d.tell("shown", 3, length=3)
    d.tell(event, 2, length=6, seconds=0.5)
    *_, last, _ = d.read()
    assert (last["event"], last["chars"], last["of"], last["after"]) == (event, 2, 6, 0.5)


def test_requests_without_anything_to_show_are_counted_with_the_next_line(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNANSWERED", 6)
    d = desk()
    d.ask(["a"], "a")
    for length in range(3):
        d.ask([""], f"nothing {length}", "x = " + "y" * (length + 1))
    d.ask(["b"], "b", "x = yyyyy")
    for number in range(8):
        d.ask([""], f"later {number}")
    _, first, second, typing, ended = d.read()
    assert (first["requests"], second["requests"], second["written"]) == (1, 4, 5)
    assert (typing["event"], typing["requests"], ended["requests"]) == ("typing", 6, 2)


def test_what_was_written_is_logged_even_if_nothing_was_shown(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNANSWERED", 3)
    d = desk()
    for length in range(5):
        d.ask([""], f"nothing {length}", "x" * length)
    session, typing, ended = d.read()
    assert (session["event"], session["model"]) == ("session", MODEL)
    assert (typing["event"], typing["requests"], typing["written"]) == ("typing", 3, 2)
    assert (ended["event"], ended["requests"], ended["written"]) == ("ended", 2, 2)


def test_an_answer_that_was_cancelled_changes_nothing_of_the_model(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(["values"])
    d.ask([""], "b", model="")
    d.ask(["values"], "c", model="", recalled=True)
    sessions = [event["model"] for event in d.read() if event["event"] == "session"]
    assert sessions == [MODEL]


def test_without_a_models_name_it_is_unknown(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(["values"], model="", recalled=True)
    assert d.read()[0]["model"] == "unknown"


def test_what_was_requested_of_a_model_that_never_answered_is_logged(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask([])
    session, ended = d.read()
    assert (session["model"], ended["requests"]) == ("unknown", 1)


@pytest.mark.parametrize("length", [6, 900])
def test_what_is_taken_is_written_once_whether_or_not_another_request_follows(
    desk: Callable[..., Desk], length: int
) -> None:
    d = desk()
    d.ask(["v" * length])
    d.tell("shown", length)
    d.tell("accepted", length - 2)
    d.tell("accepted", length)
    assert d.study._written == length
    d.ask([""], "b", "x = " + "v" * length)
    assert d.study._written == length
    d.ask([""], "c", "x = " + "v" * length + ".")
    assert d.read()[-1]["written"] == length + 1


def test_what_was_typed_of_a_suggestion_before_it_was_taken_is_written_once(
    desk: Callable[..., Desk],
) -> None:
    d = desk()
    d.ask(["values"])
    d.tell("shown", 6)
    d.ask([""], "b", "x = va")
    d.tell("accepted", 6)
    d.ask([""], "c", "x = values")
    assert d.read()[-1]["written"] == 6


def test_what_was_typed_before_a_part_was_taken_is_told_from_what_was_taken(
    desk: Callable[..., Desk],
) -> None:
    d = desk()
    d.ask(["values.mean()"])
    d.tell("shown", 13)
    d.tell("accepted", 6, before=2)
    d.tell("accepted", 7, before=6)
    d.tell("accepted", 13, before=11)
    taken = [event for event in d.read() if event["event"] == "taken"]
    assert [event.get("typed") for event in taken] == [2, None, 4]


STEP = st.tuples(
    st.sampled_from(["ask", "take"]), st.sampled_from(["one", "two"]), st.integers(0, 600), st.integers(0, 9)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=30))
def test_no_more_is_taken_than_is_written(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int, int]]
) -> None:
    d = Desk(tmp_path_factory.mktemp("study") / "study.jsonl")
    asked = 0
    for step, path, length, name in steps:
        if step == "ask":
            d.ask(["v" * 600], str(asked), "x" * length, path=path)
            asked += 1
            d.tell("shown", 600, str(asked - 1))
        else:
            d.tell("accepted", length, str(asked - 1 - name))
    d.study.close()
    if asked:
        events = d.read()
        taken: dict[str, int] = {}
        for event in events:
            if event["event"] == "taken":
                taken[event["id"]] = max(event["chars"], taken.get(event["id"], 0))
        assert sum(taken.values()) <= sum(event.get("written", 0) for event in events)


def test_what_is_pasted_or_deleted_or_in_another_cell_is_not_written(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask([""], source="x")
    d.ask([""], source="x" * (module.PASTED + 2))
    d.ask([""], source="x")
    d.ask([""], source="another" * 9, path="another.ipynb")
    d.ask([""], source="xyz")
    d.ask(["a"], source="xyz")
    assert d.read()[1]["written"] == 2


def test_documents_are_numbers_that_lead_to_no_path(desk: Callable[..., Desk]) -> None:
    d = desk()
    for name, path in (("a", "one.ipynb"), ("b", "two.ipynb"), ("c", "one.ipynb")):
        d.ask(["values"], name, path=path)
    one, two, again = (event["doc"] for event in d.read() if event["event"] == "requested")
    assert one == again != two
    drawn = {Study("/x", text=False)._document("one.ipynb") for _ in range(20)}
    assert len(drawn) > 1, "another one in each session"


def test_no_text_path_or_name_is_in_it(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(
        ["frobnicate()"],
        source="ada_lovelace = ",
        path="/home/ada/thesis.ipynb",
        client="ada-1",
        model="/home/ada/my-model.gguf",
        language="adas-language",
    )
    d.tell("shown", 12)
    text = json.dumps(d.read())
    for word in ("frobnicate", "ada", "thesis", "my-model", "gguf"):
        assert word not in text


def test_text_is_in_it_where_that_was_asked_for_and_no_secret_is(desk: Callable[..., Desk]) -> None:
    d = desk(text=True)
    d.ask(["val", "values.mean()"], "a")
    d.tell("shown", 6, "a")
    d.ask(['hunter2"'], "b", 'password = "')
    d.tell("shown", 8, "b")
    d.ask(["values"], "c", path="work/.env")
    d.tell("shown", 6, "c")
    shown = [event for event in d.read() if event["event"] == "shown"]
    assert [event.get("text") for event in shown] == ["values", None, None]


def test_requests_of_programs_and_those_that_nobody_waits_for_are_none(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(["values"], "alternatives", n=3)
    d.ask(["values"], "a", client="")
    for trigger in ("warm", "ahead"):
        d.ask(["values"], trigger, trigger=trigger)
    d.tell("shown", 6)
    d.tell("shown", 6, "somebody else's")
    assert len(d.heard) == 4
    d.study.close()
    assert not d.path.exists()


def test_what_differs_from_the_usual_is_said(desk: Callable[..., Desk]) -> None:
    d = desk(where="terminal")
    d.ask(["values"], trigger="invoke", language="R", recalled=True, eagerness="eager")
    d.tell("shown", 6)
    d.ask(["values"], "b", model="other")
    session, requested, shown, changed, _, _ = d.read()
    assert (requested["trigger"], requested["language"], shown["memory"]) == ("invoke", "r", True)
    assert (session["where"], session["eagerness"]) == ("terminal", "eager")
    assert (changed["event"], changed["model"][:6]) == ("session", "other-")


def test_a_model_of_ones_own_has_no_name() -> None:
    assert [name_of(name, {}) for name in catalog()] == [*catalog()]
    numbers: dict[str, int] = {}
    assert name_of("/home/ada/x.gguf", numbers) == name_of("/home/ada/x.gguf", numbers)
    assert name_of("x", numbers).startswith("other-")
    drawn = {name_of("/home/ada/x.gguf", {}) for _ in range(20)}
    assert len(drawn) > 1, "another one in each session"
    assert [known_language(one) for one in ("python", "R", "adas")] == ["python", "r", OTHER]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be set")
def test_another_time_zone_is_said(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    d = desk()
    try:
        for zone in ("UTC", "UTC", "XXX-2"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            d.ask(["values"], zone)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [event["zone"] for event in d.read() if event["event"] == "session"] == [0, 120]


def test_a_release_that_is_not_installed_has_a_log(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", refuse)
    module._version.cache_clear()
    d = desk()
    d.ask(["values"])
    events = d.read()
    module._version.cache_clear()
    assert (events[0]["event"], events[0]["version"]) == ("session", "unknown")


def test_the_clock_may_jump(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    d = desk()
    d.ask(["values"])
    d.tell("shown", 6)
    now = time.time()
    for jump in (-1e9, 1e9):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        d.tell("accepted", 6, seconds=1.0)
    assert [event["after"] for event in d.read() if event["event"] == "taken"] == [1.0, 1.0]


def test_memory_is_bounded(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("SUGGESTIONS", "CELLS"):
        monkeypatch.setattr(module, bound, 5)
    d = desk()
    for number in range(30):
        d.ask(["values"], str(number), path=f"{number}.ipynb")
    assert len(d.study._suggestions) == len(d.study._cells) == 5
    assert len(d.study._documents) <= 5
    d.tell("shown", 6, "3")
    d.tell("shown", 6, "29")
    assert sum(event["event"] == "shown" for event in d.read()) == 1


def test_of_something_that_is_wrong_with_the_file_whoever_types_notices_nothing(
    tmp_path: Path,
) -> None:
    d = Desk(tmp_path)
    d.ask(["values"])
    d.tell("shown", 6)
    for _ in range(500):
        if d.study.trouble:
            break
        time.sleep(0.01)
    assert d.study.trouble == "it is a folder"
    assert d.heard[-1].items[0].text == "values"
    begun = time.monotonic()
    d.study.close()
    assert time.monotonic() - begun < 5
