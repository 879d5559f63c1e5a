import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Cell, Completion, Feedback
from tests.index.folders import until
from turbopilot_research.usage import log as module
from turbopilot_research.usage.events import SCHEMA, Event, event_of
from turbopilot_research.usage.log import LONGEST, UsageLog, loggable, surroundings_of

MODEL = "qwen2.5-coder-0.5b"
NO_PLAN: Any = None  # the log needs only the request


def read(path: Path) -> list[Event]:
    events = [event_of(line) for line in path.read_bytes().splitlines()]
    assert all(events), "no line is broken"
    return [event for event in events if event]


class Desk:
    """An editor whose suggestions are logged."""

    def __init__(self, path: Path, *, text: bool = False, where: str = "server") -> None:
        self.path = path
        self.usage_log = UsageLog(path, text=text, where=where)  # type: ignore[arg-type]

    def ask(
        self,
        answers: list[str],
        name: str = "a",
        source: str = "x = ",
        *,
        score: float = 0.8,
        model: str = MODEL,
        from_index: bool = False,
        is_read: bool = False,
        **more: object,
    ) -> None:
        asked: dict[str, object] = {"client": "editor", "trigger": "automatic", "path": "home/ada/a.ipynb"}
        request = Completion(cells=[Cell(source=source)], offset=len(source), **asked | more)  # type: ignore[arg-type]
        listen = self.usage_log.requested(request, NO_PLAN)
        for number, answer in enumerate(answers):
            item = Item(answer, score + number / 100, "stop", from_index=from_index, is_read=is_read)
            done = number == len(answers) - 1
            if listen:
                listen(Reply(name, model, (item,) if answer else (), done=done))

    def tell(self, event: str, chars: int, name: str = "a", **more: object) -> None:
        self.usage_log.receive(Feedback(id=name, event=event, chars=chars, **more))  # type: ignore[arg-type]

    def read(self) -> list[Event]:
        self.usage_log.close()
        return read(self.path)

    def all_of(self, kind: str) -> list[Event]:
        """Return the events of a kind."""
        return [event for event in self.read() if event.event == kind]

    def counts(self) -> list[tuple[int, int]]:
        """Return the number of requests and typed characters in each event with counts."""
        events = [event for event in self.read() if event.event in {"requested", "ended"}]
        return [(event.requests, event.written) for event in events]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    monkeypatch.setattr("turbopilot_research.usage.file.END_PATIENCE", 10.0)
    made: list[Desk] = []

    def make(name: str = "usage.jsonl", **more: object) -> Desk:
        made.append(Desk(tmp_path / name, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.usage_log.close()


def test_log_a_suggestion_from_request_to_retention(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(["val", "values.mean()"])
    d.tell("shown", 13, length=13)
    d.tell("accepted", 13, length=13, seconds=1.34)
    d.tell("executed", 13, length=13, seconds=9)
    d.tell("retained", 12, length=13, seconds=31)
    d.tell("retained", 5, length=13, seconds=305)
    events = d.read()
    session, requested, *rest = events
    now = time.time()
    assert all(abs(event.t - now) < 60 for event in events)
    assert (session.event, session.schema, session.where, session.has_text) == (
        "session",
        SCHEMA,
        "server",
        False,
    )
    name = f"{session.session}.1"
    assert requested == Event(
        "requested",
        requested.t,
        model=MODEL,
        eagerness="balanced",
        id=name,
        doc=requested.doc,
        at="after =",
        ms=requested.ms,
        requests=1,
    )
    times = [event.t for event in rest]
    assert rest == [
        Event("shown", times[0], id=name, chars=13, score=0.81),
        Event("accepted", times[1], id=name, chars=13, after=1.3),
        Event("executed", times[2], id=name, chars=13, after=9),
        Event("retained", times[3], id=name, chars=12, after=31),
        Event("retained", times[4], id=name, chars=5, after=305),
        Event("ended", times[5], session=session.session, written=13),
    ]


@pytest.mark.parametrize("event", ["dismissed", "typed_over"])
def test_log_the_typed_part_of_a_rejected_suggestion(desk: Callable[..., Desk], event: str) -> None:
    d = desk()
    d.ask(["values"])
    d.tell("shown", 3, length=3)
    d.tell(event, 2, length=6, seconds=0.5)
    (last,) = d.all_of(event)
    assert (last.chars, last.after) == (2, 0.5)


def test_usage_log_counts_requests_without_anything_to_show(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(["a"], "a")
    for length in range(3):
        d.ask([""], f"nothing {length}", "x = " + "y" * (length + 1))
    d.ask(["b"], "b", "x = yyyyy")
    for number in range(8):
        d.ask([""], f"later {number}")
    assert d.counts() == [(1, 0), (4, 5), (8, 0)]
    assert [event.event for event in d.read()] == ["session", "requested", "requested", "ended"]


STEP = st.tuples(
    st.sampled_from(["ask", "take"]), st.sampled_from(["one", "two"]), st.integers(0, 600), st.integers(0, 9)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=30))
def test_usage_log_never_counts_more_accepted_than_written(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int, int]]
) -> None:
    d = Desk(tmp_path_factory.mktemp("study") / "usage.jsonl")
    asked = 0
    for step, path, length, name in steps:
        if step == "ask":
            d.ask(["v" * 600], str(asked), "x" * length, path=path)
            asked += 1
            d.tell("shown", 600, str(asked - 1))
        else:
            d.tell("accepted", length, str(asked - 1 - name))
    d.usage_log.close()
    if asked:
        taken: dict[str, int] = {}
        for event in d.all_of("accepted"):
            taken[event.id] = max(event.chars, taken.get(event.id, 0))
        assert sum(taken.values()) <= sum(written for _, written in d.counts())


def test_usage_log_does_not_count_pasted_text_or_other_cells_as_written(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask([""], source="x")
    d.ask([""], source="x" * (module.PASTED + 2))
    d.ask([""], source="x")
    d.ask([""], source="another" * 9, path="another.ipynb")
    d.ask([""], source="xyz")
    d.ask(["a"], source="xyz")
    assert d.counts()[0][1] == 2


def test_log_documents_and_models_as_random_numbers(desk: Callable[..., Desk]) -> None:
    found = set()
    for session in range(5):
        d = desk(f"{session}.jsonl")
        for name, path in (("a", "one.ipynb"), ("b", "two.ipynb"), ("c", "one.ipynb")):
            d.ask(["values"], name, path=path, model="/home/ada/x.gguf")
        requested = d.all_of("requested")
        one, two, again = (event.doc for event in requested)
        assert one == again != two
        (model,) = {event.model for event in requested}
        assert model.startswith("other-")
        found |= {one, two, model}
    assert len(found) > 12, "each session has its own"


def test_log_no_text_path_or_name(desk: Callable[..., Desk]) -> None:
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
    d.read()
    text = d.path.read_text("utf-8")
    for word in ("frobnicate", "ada", "thesis", "my-model", "gguf"):
        assert word not in text


def test_log_text_if_configured_and_no_secret(desk: Callable[..., Desk]) -> None:
    d = desk(text=True)
    d.ask(["val", "values.mean()"], "a")
    d.tell("shown", 6, "a")
    d.ask(['hunter2"'], "b", 'password = "')
    d.tell("shown", 8, "b")
    d.ask(["values"], "c", path="work/.env")
    d.tell("shown", 6, "c")
    assert [event.text for event in d.all_of("shown")] == ["values", "", ""]


def test_usage_log_does_not_log_requests_of_programs_and_prefetching(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.ask(["values"], "alternatives", n=3)
    d.ask(["values"], "a", client="")
    for trigger in ("warmup", "prefetch"):
        d.ask(["values"], trigger, trigger=trigger)
    d.tell("shown", 6)
    d.tell("shown", 6, "of another server")
    d.usage_log.close()
    assert not d.path.exists()


def test_log_values_that_differ_from_the_defaults(desk: Callable[..., Desk]) -> None:
    d = desk(where="terminal")
    d.ask(["values"], trigger="invoke", language="R", from_index=True, eagerness="eager")
    d.tell("shown", 6)
    d.ask(["values"], "b", model="other")
    (session,) = d.all_of("session")
    assert session.where == "terminal"
    requested, changed = d.all_of("requested")
    assert (requested.eagerness, requested.model) == ("eager", MODEL)
    assert (changed.eagerness, changed.model[:6]) == ("balanced", "other-")
    assert (requested.trigger, requested.language) == ("invoke", "r")
    assert d.all_of("shown")[0].from_index


def test_log_has_no_text_that_was_read_from_the_kernel(desk: Callable[..., Desk]) -> None:
    d = desk(text=True)
    d.ask(["North'"], is_read=True)
    d.tell("shown", 6)
    d.ask(["values"], "b")
    d.tell("shown", 6, "b")
    assert [event.text for event in d.all_of("shown")] == ["", "values"]


def test_usage_log_with_an_unusable_file_does_not_affect_suggestions(tmp_path: Path) -> None:
    d = Desk(tmp_path)
    d.ask(["values"])
    d.tell("shown", 6)
    until(lambda: d.usage_log.error)
    assert "a folder" in d.usage_log.error
    begun = time.monotonic()
    d.usage_log.close()
    assert time.monotonic() - begun < 5


LOGS = """
import sys
from pathlib import Path
from turbopilot_research.usage import file
from usage.test_log import Desk
file.END_PATIENCE = 60.0
desk = Desk(Path(sys.argv[1]), where=sys.argv[2])
for number in range(60):
    desk.ask(["values"], str(number))
    desk.tell("shown", 6, str(number))
desk.usage_log.close()
"""


def test_usage_logs_of_several_processes_share_a_file_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    commands = [[sys.executable, "-c", LOGS, str(path), where] for where in ("server", "server", "terminal")]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    started = [subprocess.Popen(command, env=paths) for command in commands]
    assert [process.wait(60) for process in started] == [0] * 3
    logged: dict[str, list[str]] = {}
    for event in read(path):
        if event.event == "session":
            logged.setdefault(event.session, [])
        elif event.event in {"requested", "shown"}:
            session, number = event.id.split(".")
            logged[session].append(f"{event.event} {number}")
    wanted = [f"{kind} {number}" for number in range(1, 61) for kind in ("requested", "shown")]
    assert [*logged.values()] == [wanted] * 3


# Text that may be a secret --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        ("x = 1\n", 'password = "hunter2"', ""),
        ('password = "', 'hunter22"', ""),
        ('password = "', "hunter22", '"'),
        ("password = (\n    ", '"hunter22")', "\n"),
        ("", 'x = 1\npassword = "hunter2"', ""),
        ("", "x" * (LONGEST + 1), ""),
    ],
)
def test_loggable_rejects_possible_secrets(before: str, text: str, after: str) -> None:
    assert loggable(text, surroundings_of(before, after)) is None


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [("x = ", "values.mean()", ""), ('password = "hunter2"\n\n\n\n\n', "x = 1", "\ny = 2"), ("", "😀", "")],
)
def test_loggable_accepts_other_text(before: str, text: str, after: str) -> None:
    assert loggable(text, surroundings_of(before, after)) == text


BODY = "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfnaaaabbbbccccddddeeeeffffgggghhhh\n"


def armour(kind: str) -> tuple[str, str]:
    return f"key = [-----BEGIN {kind}-----\n", f"-----END {kind}-----]\n"


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "CERTIFICATE"])
@pytest.mark.parametrize("lines", [0, 5, 200])
def test_loggable_rejects_text_inside_an_armoured_key(kind: str, lines: int) -> None:
    begin, end = armour(kind)
    above = f"import os\n{begin}{BODY * lines}"
    assert loggable("dBzkYpRtQx", surroundings_of(above, "")) is None
    assert loggable("dBzkYpRtQx", surroundings_of(above, f"\n{BODY}{end}")) is None
    assert loggable("ND", surroundings_of(above + end[:6], "")) is None
    assert loggable("x.mean()", surroundings_of(f"{above}{end}\n\n\ny = ", "")) == "x.mean()"


def test_loggable_rejects_text_that_begins_an_armoured_key() -> None:
    begin, end = armour("CERTIFICATE")
    assert loggable(f"{begin}{BODY}", surroundings_of("x = 1\n", "")) is None
    assert loggable(begin[12:], surroundings_of(begin[:12], "")) is None
    assert loggable("dBzk", surroundings_of(f"{begin}{BODY}{end}{begin}{BODY * 9}", "")) is None
    assert loggable("y = 2", surroundings_of("x = 1\n", f"\n{begin}abc\n{end}")) == "y = 2"
