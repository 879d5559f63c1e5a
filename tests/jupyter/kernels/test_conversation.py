from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.analysis.report import NONE as NO_REPORT
from jupyter_turbopilot.analysis.report import KernelReport
from jupyter_turbopilot.analysis.texts import Readable, Texts
from jupyter_turbopilot.jupyter.kernels.conversation import (
    Conversation,
    KernelAnswer,
    MembersAnswer,
    Message,
    TextsAnswer,
    read_members,
)

FACTS = {"names": {"df": {"type": "DataFrame"}}, "all": True}


def comm_of(messages: list[Message]) -> str:
    """Return the comm that the last message opens."""
    assert messages[-1].type == "comm_open"
    return str(messages[-1].content["comm_id"])


def answer(comm: str, data: Any = None) -> tuple[str, dict[str, Any]]:
    return "comm_msg", {"comm_id": comm, "data": FACTS if data is None else data}


def test_ask_installs_the_handler_silently_before_the_first_query() -> None:
    conversation = Conversation()
    first, second = conversation.ask(), conversation.ask()
    assert [message.type for message in first] == ["execute_request", "comm_open"]
    assert first[0].content["silent"]
    assert not first[0].content["store_history"]
    assert [message.type for message in second] == ["comm_open"]
    assert comm_of(first) != comm_of(second)


def test_hear_treats_an_invalid_answer_as_empty_facts() -> None:
    conversation = Conversation()
    comm = comm_of(conversation.ask())
    received = conversation.receive(*answer(comm, data={"names": 1}))
    assert received == KernelAnswer(NONE, NO_REPORT)
    assert not conversation.is_open


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["status", "stream", "comm_open", "comm_msg", "comm_close"]), st.text(max_size=40)
        )
    )
)
def test_hear_ignores_messages_of_other_clients(messages: list[tuple[str, str]]) -> None:
    conversation = Conversation()
    comm = comm_of(conversation.ask())
    for kind, other in messages:
        assert conversation.receive(kind, {"comm_id": other, "data": FACTS}) is None
    assert isinstance(conversation.receive(*answer(comm)), KernelAnswer)


def test_answer_for_a_check_has_no_context() -> None:
    conversation = Conversation()
    comm = comm_of(conversation.ask_for_report(["df"], []))
    received = conversation.receive(*answer(comm, {"report": {"all": True}}))
    assert received == KernelAnswer(None, KernelReport(all=True))


def test_ask_for_members_puts_the_cursor_behind_the_operator() -> None:
    conversation = Conversation()
    (message,) = conversation.ask_for_members("df$")
    assert message == Message("complete_request", {"code": "df$", "cursor_pos": 3}, message.id)
    content = {"matches": ["price"], "cursor_start": 3, "cursor_end": 3}
    assert conversation.receive("complete_reply", content, "another") is None
    assert isinstance(conversation.receive("complete_reply", content, message.id), MembersAnswer)
    assert not conversation.is_open


@pytest.mark.parametrize(
    ("start", "matches", "members"),
    [
        (0, ["df$price", "df$`unit cost`"], {"price", "`unit cost`"}),
        (3, ["price"], {"price"}),
        (0, ["df$"], None),  # IRkernel knows no members
        (0, [], None),
        (0, ["df$" + "x" * 1000], None),
    ],
)
def test_read_members_returns_the_texts_after_the_code(
    start: int, matches: list[str], members: set[str] | None
) -> None:
    content = {"matches": matches, "cursor_start": start, "cursor_end": 3}
    names = read_members("df$", content).names
    assert (names["df$"].attributes if names else None) == members


def test_ask_for_texts_names_what_to_read() -> None:
    conversation = Conversation()
    asked = [Readable("values", "df['region']"), Readable("keys", "config")]
    messages = conversation.ask_for_texts(asked)
    assert messages[-1].content["data"] == {"texts": [["values", "df['region']"], ["keys", "config"]]}
    received = conversation.receive(*answer(comm_of(messages), {"texts": [[["North"], True], None]}))
    assert received == TextsAnswer({asked[0]: Texts(("North",), all=True), asked[1]: None})
    assert not conversation.is_open
