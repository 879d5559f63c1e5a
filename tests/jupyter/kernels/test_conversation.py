from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.kernel_context import NONE
from jupyter_turbopilot.fixes.report import NONE as NO_REPORT
from jupyter_turbopilot.jupyter.kernels.conversation import (
    ClosedWithoutAnswer,
    Conversation,
    KernelAnswer,
    Message,
)

FACTS = {"names": {"df": {"type": "DataFrame"}}, "all": True}


def comm_of(messages: list[Message]) -> str:
    """Return the comm that the last message opens."""
    assert messages[-1].type == "comm_open"
    return str(messages[-1].content["comm_id"])


def answer(comm: str, data: Any = None) -> tuple[str, dict[str, Any]]:
    return "comm_msg", {"comm_id": comm, "data": FACTS if data is None else data}


def close(comm: str) -> tuple[str, dict[str, Any]]:
    return "comm_close", {"comm_id": comm, "data": {}}


def test_ask_installs_the_handler_silently_before_the_first_query() -> None:
    conversation = Conversation()
    first, second = conversation.ask(), conversation.ask()
    assert [message.type for message in first] == ["execute_request", "comm_open"]
    assert first[0].content["silent"]
    assert not first[0].content["store_history"]
    assert [message.type for message in second] == ["comm_open"]
    assert comm_of(first) != comm_of(second)


def test_hear_accepts_an_answer_from_a_kernel_that_closes_the_comm() -> None:
    conversation = Conversation()
    comm = comm_of(conversation.ask())
    assert isinstance(conversation.receive(*answer(comm)), KernelAnswer)
    assert conversation.receive(*close(comm)) is None
    assert [message.type for message in conversation.ask()] == ["comm_open"]


def test_hear_treats_an_invalid_answer_as_empty_facts() -> None:
    conversation = Conversation()
    comm = comm_of(conversation.ask())
    received = conversation.receive(*answer(comm, data={"names": 1}))
    assert received == KernelAnswer(comm, NONE, NO_REPORT)
    assert not conversation.is_open


def test_hear_reports_a_comm_closed_without_an_answer() -> None:
    conversation = Conversation()
    assert isinstance(conversation.receive(*close(comm_of(conversation.ask()))), ClosedWithoutAnswer)
    assert not conversation.is_open
    assert [message.type for message in conversation.ask()] == ["comm_open"]
    conversation.reinstall()
    assert [message.type for message in conversation.ask()] == ["execute_request", "comm_open"]


def test_query_after_an_error_leaves_the_open_query_alone() -> None:
    conversation = Conversation()
    first = comm_of(conversation.ask())
    comm, messages = conversation.ask_for_report(["df"], keys=True)
    assert comm_of(messages) == comm
    assert messages[-1].content["data"] == {"wanted": ["df"], "keys": True}
    received = conversation.receive(*answer(comm, data={**FACTS, "report": {"names": ["df"], "all": True}}))
    assert isinstance(received, KernelAnswer)
    assert received.report.names == ["df"]
    assert conversation.is_open
    assert isinstance(conversation.receive(*answer(first)), KernelAnswer)
    assert not conversation.is_open


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["status", "stream", "comm_open", "comm_msg", "comm_close"]),
            st.text(max_size=40),
        )
    )
)
def test_hear_ignores_messages_of_other_clients(messages: list[tuple[str, str]]) -> None:
    conversation = Conversation()
    comm = comm_of(conversation.ask())
    for kind, other in messages:
        assert conversation.receive(kind, {"comm_id": other, "data": FACTS}) is None
    assert isinstance(conversation.receive(*answer(comm)), KernelAnswer)
