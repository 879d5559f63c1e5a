from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.cache.results import Place
from jupyter_turbopilot.completer.plan import Plan
from jupyter_turbopilot.completer.suggestion_plan import Person, plan_suggestion
from jupyter_turbopilot.completer.waiting import Replies
from jupyter_turbopilot.config import Turbopilot, TurbopilotRemote
from jupyter_turbopilot.context.facts import NONE, Fact, Facts
from jupyter_turbopilot.learning.calibration import AS_FITTED, Calibration
from jupyter_turbopilot.request import Cell, Completion, Document

from .desk import Desk, heard, request


def test_a_credential_is_no_context(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    d.ask(
        Completion(cells=[Cell(source="password = 'hunter22'\na = 1"), Cell(source="b")], active=1, offset=1)
    )
    assert "hunter22" not in d.engine.prompts[0]
    assert "a = 1" in d.engine.prompts[0]


def test_warming_reads_the_prompt_and_writes_nothing(desk: Callable[..., Desk]) -> None:
    d = desk("a b c")
    (reply,) = d.ask(request(trigger="warm"))
    assert [item.text for item in reply.items] in ([], [""])
    assert d.engine.samplings[0].max_tokens == 0


def test_what_may_have_come_from_another_open_document_or_is_private_does_not_last() -> None:
    def place(*sources: str, path: str = "a.ipynb") -> Place:
        extra = [Document(path="utils.py", source=source) for source in sources]
        asked = request(path=path, extra=extra)
        return plan_suggestion(asked, NONE, "m", Turbopilot(), Person()).place

    assert place().lasts
    assert not place("def load(): ...").lasts
    assert not place(path=".env").lasts
    assert place("a").digest == place("b").digest


@pytest.mark.parametrize(
    ("trigger", "lines", "given", "length"),
    [
        ("automatic", "multi", None, 10),
        ("invoke", "multi", None, 40),
        ("invoke", "single", None, 10),
        ("invoke", "multi", 7, 7),
        ("ahead", "multi", None, 10),
        ("warm", "multi", 7, 0),
    ],
)
def test_whoever_asks_for_several_lines_has_the_time_for_more(
    trigger: str, lines: str, given: int | None, length: int
) -> None:
    asked = request(trigger=trigger, lines=lines, max_tokens=given)
    task = plan_suggestion(asked, NONE, "model", Turbopilot(max_tokens=10))
    assert task.sampling.max_tokens == length


def test_a_request_may_have_more_lines_than_the_setting_and_draw_otherwise() -> None:
    def task(**more: object) -> Plan:
        asked = request(**more)  # type: ignore[arg-type]
        return plan_suggestion(asked, NONE, "model", Turbopilot(max_lines=2))

    assert task().place == task(max_lines=2).place
    assert task().place != task(max_lines=3).place  # what was cut short is no answer to it
    assert [task(seed=seed).sampling.seed for seed in (None, 7)] == [0, 7]


def test_more_lines_are_written_where_they_are_asked_for(desk: Callable[..., Desk]) -> None:
    d = desk("a\nb\nc\nd", settings={"max_lines": 2})
    assert d.texts(request("", lines="multi"))[-1] == "a\nb"
    assert d.texts(request("", lines="multi", max_lines=3))[-1] == "a\nb\nc"


@pytest.mark.parametrize(
    ("trigger", "eagerness", "moved"),
    [
        ("automatic", "balanced", True),
        ("automatic", "quiet", True),
        ("ahead", "balanced", True),
        ("automatic", "eager", True),
        ("automatic", "always", False),
        ("invoke", "balanced", False),
    ],
)
def test_what_was_learned_moves_the_thresholds_that_promise_something(
    trigger: str, eagerness: str, moved: bool
) -> None:
    def task(calibration: Calibration) -> Plan:
        asked = request(trigger=trigger, eagerness=eagerness)
        return plan_suggestion(
            asked,
            NONE,
            "model",
            Turbopilot(),
            Person(calibration=lambda _: calibration),
        )

    fitted, strict = task(AS_FITTED), task(Calibration(1.0, -0.8, 300))
    assert (fitted.place.limit != strict.place.limit) is moved  # what was cut at another one is no answer
    assert (fitted.terms is not None) is (trigger == "automatic")
    if strict.terms and fitted.terms:
        assert (strict.terms.threshold > fitted.terms.threshold) is moved
        assert (strict.terms.promised is not None) is moved


def test_less_is_shown_where_little_was_right(desk: Callable[..., Desk]) -> None:
    d = desk("alpha + beta", probability=0.93)
    asked = request("x = ", trigger="automatic", eagerness="balanced")
    shown = d.texts(asked)
    assert shown
    d.completer.learner = SimpleNamespace(  # type: ignore[assignment]
        calibration=lambda *_: Calibration(1.0, -1.5, 300), observe=lambda *_: None
    )
    assert d.texts(asked) != shown


@pytest.mark.parametrize(
    ("elsewhere", "allowed", "sent"),
    [
        (False, {}, {"def load_zebra", "price"}),
        (True, {}, set()),
        (True, {"send_documents": True}, {"def load_zebra"}),
        (True, {"send_kernel_facts": True}, {"price"}),
    ],
)
def test_to_a_server_elsewhere_only_what_the_settings_allow_is_sent(
    desk: Callable[..., Desk], elsewhere: bool, allowed: dict[str, bool], sent: set[str]
) -> None:
    d = desk("1")
    d.completer.settings.engine = "remote" if elsewhere else "llama"
    d.completer.settings.remote = TurbopilotRemote(**allowed)
    other = Document(path="other.py", source="def load_zebra(): ...")
    history = Document(path="", source="typed = 1")
    cells = [Cell(source="load_zebra()"), Cell(source="x = ")]
    asked = Completion(cells=cells, active=1, offset=4, extra=[other, history])
    facts = Facts({"frame": Fact(type="DataFrame", columns=[("price", "float64")])}, digest="1")
    replies = Replies()
    d.completer.submit(asked, replies.listen, facts)
    heard(replies)
    assert {word for word in ("def load_zebra", "price") if word in d.engine.prompts[0]} == sent
    assert "typed = 1" in d.engine.prompts[0]  # the terminal's own


@pytest.mark.parametrize(
    ("above", "text"),
    [
        (Cell(source="import os"), ""),
        (Cell(source="%%writefile module.py\nimport os"), "import os"),
        (Cell(source="import os", type="markdown"), "import os"),
    ],
)
def test_task_leaves_out_an_import_of_an_earlier_cell_in_its_language(
    desk: Callable[..., Desk], above: Cell, text: str
) -> None:
    d = desk("import os\n")
    asked = Completion(cells=[above, Cell(source="x = 1\n")], active=1, offset=6, trigger="invoke")
    assert d.texts(asked)[-1:] == ([text] if text else [])
