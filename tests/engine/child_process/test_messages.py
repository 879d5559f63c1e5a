from __future__ import annotations

import io
import os
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.child_process.messages import (
    ChildError,
    ChildReply,
    FramePipe,
    Progress,
    Start,
    decode_reply,
    decode_request,
    encode,
)
from jupyter_turbopilot.protocol import errors
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token, Usage
from jupyter_turbopilot.protocol.errors import (
    CancelledError,
    ContextLengthError,
    EngineError,
    EngineGoneError,
    ModelRefusedError,
    TurbopilotError,
    UnknownTokenError,
)

small = st.integers(0, 1 << 31)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
finite = st.floats(allow_nan=False)
samplings = st.builds(
    Sampling,
    temperature=finite,
    logit_bias=st.lists(st.tuples(small | texts, finite), max_size=3).map(tuple),
    samplers=st.lists(texts, max_size=3).map(tuple),
    seed=st.integers(-(1 << 63), (1 << 64) - 1),
    drawn=st.booleans(),
    beginning=st.builds(
        PrefixConstraint, st.lists(st.binary(max_size=9)).map(tuple), small, st.none() | small
    ),
)
asks = st.builds(
    EngineRequest,
    st.lists(small),
    samplings,
    st.builds(Usage, cached_tokens=small, prompt_ms=finite),
    st.lists(small, max_size=5),
    st.booleans(),
    st.tuples(small, small),
    small,
    texts,
    texts,
    texts,
    texts,
)
tokens = st.builds(
    Token, st.binary(), finite, small, st.lists(st.tuples(small, finite), max_size=3).map(tuple)
)


@given(small, asks)
def test_ask_survives_encoding(number: int, engine_request: EngineRequest) -> None:
    request = decode_request(encode(Start(number, engine_request)))
    assert isinstance(request, Start)
    assert (request.run, request.engine_request) == (number, engine_request)


@given(st.lists(tokens), small, st.booleans())
def test_tokens_survive_encoding(fresh: list[Token], pending: int, done: bool) -> None:
    reply = ChildReply([Progress(fresh, done, pending, Usage(predicted_ms=0.25))])
    assert decode_reply(encode(reply)) == reply


@given(st.binary(max_size=30))
def test_decode_rejects_garbage(data: bytes) -> None:
    try:
        decode_request(data)
        decode_reply(data)
    except (msgspec.DecodeError, ValueError):
        pass


@pytest.mark.parametrize(
    "error",
    [
        EngineError("failed"),
        ContextLengthError(512, 500, 20),
        UnknownTokenError(7, field="prompt"),
        ModelRefusedError("too large", code="memory"),
        EngineGoneError("gone", after=3.0),
        CancelledError("stopped"),
        errors.RefusedError(429),
    ],
    ids=lambda error: type(error).__name__,
)
def test_failure_keeps_type_and_fields_of_an_error(error: TurbopilotError) -> None:
    failure = decode_reply(encode(ChildReply(failure=ChildError.of(error)))).failure
    assert failure
    raised = failure.error()
    assert type(raised) is type(error)
    assert vars(raised) == vars(error)
    assert str(raised) == str(error)
    assert (raised.status, raised.body()) == (error.status, error.body())


def test_failure_contains_only_type_and_location_of_an_exception() -> None:
    try:
        int("password = 'hunter2'")
    except ValueError as raised:
        error = ChildError.of(raised).error()
    assert type(error) is EngineError
    assert "ValueError in test_messages.py, line" in error.message
    assert "hunter2" not in error.message
    assert "(ValueError)" in ChildError.of(ValueError("hunter2")).error().message


@given(st.lists(st.binary(max_size=200)))
def test_frame_pipe_keeps_the_order_of_messages(messages: list[bytes]) -> None:
    sent = io.BytesIO()
    out = FramePipe(io.BytesIO(), sent)
    for message in messages:
        out.send(message)
    back = FramePipe(io.BytesIO(sent.getvalue()), io.BytesIO())
    assert [back.receive() for _ in messages] == messages
    with pytest.raises(EOFError):
        back.receive()


@given(st.binary(max_size=20), st.data())
def test_frame_pipe_raises_eof_error_for_a_truncated_message(message: bytes, data: st.DataObject) -> None:
    sent = io.BytesIO()
    FramePipe(io.BytesIO(), sent).send(message)
    cut = data.draw(st.integers(0, len(sent.getvalue()) - 1))
    with pytest.raises(EOFError):
        FramePipe(io.BytesIO(sent.getvalue()[:cut]), io.BytesIO()).receive()


def test_frame_pipe_transfers_messages_larger_than_its_buffer() -> None:
    message = os.urandom(1_000_000)
    reading, writing = os.pipe()
    pipe = FramePipe(os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0))
    sender = threading.Thread(target=pipe.send, args=(message,))
    sender.start()
    assert pipe.receive() == message
    sender.join()
    pipe.close()
