from __future__ import annotations

from collections.abc import Callable

import pytest
from traitlets.config import Config

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.analysis.texts import Readable, Texts
from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry, CompletionCache
from jupyter_turbopilot.protocol.request import Cell, Completion, Document
from jupyter_turbopilot.suggestion.readable import Place, Readings

from .desk import Desk, received, request


def test_suggestion_plan_excludes_credentials_from_the_context(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    d.ask(
        Completion(cells=[Cell(source="password = 'hunter22'\na = 1"), Cell(source="b")], active=1, offset=1)
    )
    assert "hunter22" not in d.engine.prompts[0]
    assert "a = 1" in d.engine.prompts[0]


def test_warm_up_generates_no_tokens(desk: Callable[..., Desk]) -> None:
    d = desk("a b c")
    (reply,) = d.ask(request(trigger="warmup"))
    assert [item.text for item in reply.items] in ([], [""])
    assert d.engine.samplings[0].max_tokens == 0


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, True),
        ({"documents": [Document(path="utils.py", source="def load(): ...")]}, False),
        ({"path": ".env"}, False),
    ],
)
def test_suggestion_of_other_documents_or_private_files_is_not_saved(
    desk: Callable[..., Desk], more: dict[str, object], kept: bool
) -> None:
    d = desk("1")
    answers: list[CacheEntry] = []
    d.completer.shared.results = CompletionCache(1 << 20, answers.append)
    assert d.texts(request("x = ", **({"path": "a.ipynb"} | more))) == ["1"]
    assert len(answers) == kept


@pytest.mark.parametrize(
    ("trigger", "lines", "given", "length"),
    [
        ("automatic", "multi", None, 10),
        ("invoke", "multi", None, 40),
        ("invoke", "single", None, 10),
        ("invoke", "multi", 7, 7),
        ("prefetch", "multi", None, 10),
        ("warmup", "multi", 7, 0),
    ],
)
def test_invoked_multi_line_suggestion_may_be_longer(
    desk: Callable[..., Desk], trigger: str, lines: str, given: int | None, length: int
) -> None:
    d = desk("1", settings={"max_tokens": 10})
    d.ask(request(trigger=trigger, lines=lines, max_tokens=given, eagerness="always"))
    assert [sampling.max_tokens for sampling in d.engine.samplings] == [length]


def test_suggestion_plan_honours_the_requested_number_of_lines(desk: Callable[..., Desk]) -> None:
    d = desk("\n".join("abcdefghij"))
    assert d.texts(request("", lines="multi"))[-1] == "\n".join("abcdefgh")
    assert d.texts(request("", lines="multi", max_lines=3))[-1] == "a\nb\nc"


@pytest.mark.parametrize("trigger", ["automatic", "invoke"])
def test_suggestion_for_another_threshold_is_not_taken_from_the_cache(
    desk: Callable[..., Desk], trigger: str
) -> None:
    d = desk("alpha + beta + gamma", probability=1.0)
    for eagerness in ("eager", "quiet"):
        d.ask(request(trigger=trigger, eagerness=eagerness, max_tokens=3))
    assert len(d.engine.asks) == (2 if trigger == "automatic" else 1)  # an invoked one has no threshold


@pytest.mark.parametrize(
    ("elsewhere", "allowed", "sent"),
    [
        (False, {}, {"def load_zebra", "price"}),
        (True, {}, set()),
        (True, {"send_documents": True}, {"def load_zebra"}),
        (True, {"send_kernel_context": True}, {"price"}),
    ],
)
def test_remote_server_gets_only_allowed_context(
    desk: Callable[..., Desk], elsewhere: bool, allowed: dict[str, bool], sent: set[str]
) -> None:
    engine = "remote" if elsewhere else "llama"
    d = desk("1", settings={"engine": engine, "config": Config(TurbopilotRemote=allowed)})
    other = Document(path="other.py", source="def load_zebra(): ...")
    history = Document(path="", source="typed = 1")
    cells = [Cell(source="load_zebra()"), Cell(source="x = ")]
    asked = Completion(cells=cells, active=1, offset=4, documents=[other, history])
    kernel_context = KernelContext({"frame": ObjectInfo(type="DataFrame", columns=["price"])})
    received(d.begin(asked, kernel_context=kernel_context)[1])
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


class Known:
    """A reader with the texts of one place."""

    def __init__(self, *texts: str) -> None:
        self.texts = Texts(texts)

    def find(self, _: Readable) -> Texts:
        return self.texts

    def is_awaited(self, _: Readable) -> bool:
        return False


@pytest.mark.parametrize(
    ("texts", "more", "items"),
    [
        (("North", "South"), {}, ["orth'"]),
        (("North", "Nordic"), {}, []),
        (("North", "Nordic"), {"trigger": "invoke"}, ["orth'"]),
        (("North", "Nordic"), {"trigger": "invoke", "n": 3}, ["orth'", "ordic'"]),
    ],
)
def test_texts_that_were_read_are_the_answer_without_the_engine(
    desk: Callable[..., Desk], texts: tuple[str, ...], more: dict[str, object], items: list[str]
) -> None:
    d = desk("else")
    d.readings = Readings(Known(*texts), place=Place(Readable("values", "df['a']"), "N", "'"))
    (reply,) = d.ask(request("df['a'] == 'N", **({"trigger": "automatic"} | more)))
    assert [item.text for item in reply.items] == items
    assert all(item.is_read for item in reply.items)
    assert reply.uncached
    assert d.completer.counters["read"] == 1
    assert d.engine.prompts == []


@pytest.mark.parametrize(("typed", "must_exist"), [("", False), ("", True), ("N", False)])
def test_text_that_may_be_new_is_generated_where_nothing_is_typed(
    desk: Callable[..., Desk], typed: str, must_exist: bool
) -> None:
    d = desk("else")
    place = Place(Readable("keys", "config"), typed, "'", must_exist=must_exist)
    d.readings = Readings(Known("North", "Nordic"), place=place)
    d.ask(request(f"config['{typed}", trigger="automatic"))
    assert bool(d.engine.prompts) is not bool(typed or must_exist)


@pytest.mark.parametrize(("suffix", "item"), [("']", "orth"), ("", "orth'"), (" # it's", "orth'")])
def test_text_that_was_read_is_closed_unless_the_editor_has_closed_it(
    desk: Callable[..., Desk], suffix: str, item: str
) -> None:
    d = desk("else")
    d.readings = Readings(Known("North"), place=Place(Readable("values", "df['a']"), "N", "'"))
    text = "df['a'] == 'N"
    assert d.texts(request(text + suffix, len(text), trigger="automatic")) == [item]


@pytest.mark.parametrize("trigger", ["prefetch", "warmup"])
def test_text_that_was_read_answers_no_request_that_nobody_waits_for(
    desk: Callable[..., Desk], trigger: str
) -> None:
    d = desk("else")
    d.readings = Readings(Known("North"), place=Place(Readable("values", "df['a']"), "N", "'"))
    d.ask(request("df['a'] == 'N", trigger=trigger))
    assert d.engine.prompts


def test_suggestion_with_columns_of_a_file_is_not_saved(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    d.readings = Readings(headers={"orders": Texts(("total",))})
    answers: list[CacheEntry] = []
    d.completer.shared.results = CompletionCache(1 << 20, answers.append)
    assert d.texts(request("x = ", path="a.ipynb")) == ["1"]
    assert answers == []
