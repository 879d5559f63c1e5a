import base64
import codecs
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.engine.lifecycle import EngineState
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.engine.peer import MAX_HINT, MAX_PREFIXES, describe_engine, identity_digest
from jupyter_turbopilot.engine.vocabulary import vocabulary_digest
from jupyter_turbopilot.plugins.protocols.body import read_body
from jupyter_turbopilot.plugins.protocols.openai_completions import CompletionsBody
from jupyter_turbopilot.protocol.engine_request import (
    EngineRequest,
    ExactRequest,
    PrefixConstraint,
    Sampling,
    Token,
)
from jupyter_turbopilot.protocol.phase import Phase

from ...jupyter.routes.conftest import Ask as Send
from ...scripted_engine import ScriptedEngine
from ...tiny_model import learn_merges, write_tiny_model
from ...waiting import generated

CODE = "import numpy as np\ndef mean(values):\n    return sum(values) / len(values)\nprint('né 😀')\n" * 3


@pytest.fixture(scope="module")
def merged_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with tokens of several bytes, some of which end inside a character."""
    return write_tiny_model(tmp_path_factory.mktemp("peer") / "merged.gguf", merges=learn_merges(CODE, 60))


def load(path: Path) -> LlamaEngine:
    return LlamaEngine(path, LoadPlan(256, 1), name="merged")


@pytest.fixture(params=["scripted", "real"])
def engine(request: pytest.FixtureRequest, merged_model: Path) -> Any:
    """The server's engine; a real one closes with the server."""
    return load(merged_model) if request.param == "real" else ScriptedEngine("né + b + c")


@pytest.fixture
def direct(engine: Any, merged_model: Path) -> Iterator[Any]:
    """The same engine, without a server."""
    alone = load(merged_model) if isinstance(engine, LlamaEngine) else ScriptedEngine(engine.answer)
    yield alone
    alone.close()


def body_of(ask: EngineRequest, **more: Any) -> dict[str, Any]:
    """Return the body that the engine `remote` sends for a request."""
    sampling, beginning = ask.sampling, ask.sampling.beginning
    return {
        "prompt": [*ask.prompt],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_last_n": sampling.penalty_last_n,
        "logprobs": sampling.top,
        "return_tokens_as_token_ids": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        "turbopilot": {
            "prefixes": [base64.b64encode(way).decode() for way in beginning.candidates],
            "typed_bytes": beginning.typed,
            "banned_token": beginning.banned,
            "draft": [*ask.hint],
            "draft_aligned": ask.aligned,
            "stable_range": [*ask.suffix_span],
            "context_end": ask.context_end,
            "priority": "typing",
        }
        | more,
    }


class EventContent(NamedTuple):
    """The content of a streamed answer."""

    text: str
    ids: list[int]
    chances: list[float]
    top: list[dict[int, float]]
    reason: str
    usage: dict[str, Any]
    version: str


def number(name: str) -> int:
    return int(name.removeprefix("token_id:"))


def received(answer: bytes) -> EventContent:
    events = [json.loads(line[6:]) for line in answer.split(b"\n\n") if line and line[6:] != b"[DONE]"]
    choices = [choice for event in events for choice in event["choices"]]
    parts = [choice["logprobs"] for choice in choices]
    return EventContent(
        "".join(choice["text"] for choice in choices),
        [number(name) for part in parts for name in part["tokens"]],
        [math.exp(chance) for part in parts for chance in part["token_logprobs"]],
        [{number(name): v for name, v in top.items()} for part in parts for top in part["top_logprobs"]],
        choices[-1]["finish_reason"],
        events[-1]["usage"],
        events[0]["system_fingerprint"].partition(":")[2],
    )


def written(engine: Any, ask: EngineRequest) -> list[Token]:
    return generated(engine, engine.start(ask))[0]


def asks(engine: Any) -> Iterator[EngineRequest]:
    """Return requests that a Turbopilot server may send to another."""
    words, size = engine.vocabulary, 12
    prompt, after = (
        words.tokenize("def mean(values):\n    return su"),
        words.tokenize("\nprint('né 😀')\n" * 3),
    )
    plain = Sampling(max_tokens=size)
    yield EngineRequest(prompt, plain)
    likely = [token.id for token in written(engine, EngineRequest(prompt, plain))]
    yield EngineRequest(prompt, plain, hint=likely)
    yield EngineRequest(prompt, plain, hint=likely[::-1], aligned=False)
    for beginning in (
        PrefixConstraint((b"sum(values)", b"super"), 2),
        PrefixConstraint(("né".encode()[:2], "😀".encode()[:3])),  # cut inside a character
        PrefixConstraint((b"mean",), 4),  # all of it is typed
        PrefixConstraint(banned=likely[0]),
    ):
        yield EngineRequest(prompt, Sampling(max_tokens=size, beginning=beginning, top=3))
    for typed in ("", " +", " + 1"):
        behind = [*prompt, *words.tokenize(typed)]
        span = (len(behind) + 9, len(behind) + len(after) - 1)
        yield EngineRequest([*behind, *after], plain, suffix_span=span)
    drawn = Sampling(max_tokens=size, temperature=1.3, seed=5, top_k=9, top_p=0.8, min_p=0.01, top=2)
    yield EngineRequest(prompt, drawn)
    yield EngineRequest(prompt, Sampling(max_tokens=0))
    if isinstance(engine, LlamaEngine):
        # The completion ends at the context's end.
        yield EngineRequest((prompt * 20)[: engine.context_size - 3], plain)


async def test_remote_completion_equals_the_local_engines(
    ready: Any, engine: Any, direct: Any, merged_model: Path, ask: Send
) -> None:
    other = load(merged_model) if isinstance(engine, LlamaEngine) else ScriptedEngine(engine.answer)
    for each in asks(other):
        answer = await ask("v1/completions", body_of(each))
        assert answer.code == 200, answer.body
        found, expected = received(answer.body), written(direct, each)
        assert found.ids == [token.id for token in expected]
        assert found.chances == pytest.approx([token.probability for token in expected])
        assert [list(top)[: len(token.top)] for top, token in zip(found.top, expected, strict=True)] == [
            [token for token, _ in token.top] for token in expected
        ]
        # Only the ids contain an incomplete last character.
        whole = codecs.getincrementaldecoder("utf-8")("replace")
        assert found.text == whole.decode(b"".join(token.data for token in expected))
        assert found.version == identity_digest(ready.worker.engine)
        assert found.usage["prompt_tokens"] == len(each.prompt)
        assert found.usage["prompt_tokens_details"]["cached_tokens"] == each.usage.cached_tokens
    other.close()


@pytest.mark.parametrize("engine", ["scripted"], indirect=True)
@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"prefixes": ["no base64!"]}, "turbopilot.prefixes[0]"),
        ({"prefixes": ["YQ=="] * (MAX_PREFIXES + 1)}, "turbopilot.prefixes"),
        ({"prefixes": [base64.b64encode(b"a" * 1000).decode()] * 66}, "turbopilot.prefixes"),
        ({"typed_bytes": -1}, "turbopilot.typed_bytes"),
        ({"prefixes": ["YQ=="], "typed_bytes": 2}, "turbopilot.typed_bytes"),
        ({"banned_token": "a"}, "turbopilot.banned_token"),
        ({"banned_token": 1 << 22}, "turbopilot.banned_token"),
        ({"draft": [1 << 22]}, "turbopilot.draft"),
        ({"draft": [97] * (MAX_HINT + 1)}, "turbopilot.draft"),
        ({"stable_range": [1]}, "turbopilot.stable_range"),
        ({"stable_range": [2, 1]}, "turbopilot.stable_range"),
        ({"stable_range": [0, 3]}, "turbopilot.stable_range"),
        ({"context_end": 3}, "turbopilot.context_end"),
        ({"priority": "first"}, "turbopilot.priority"),
    ],
)
async def test_invalid_field_is_named(ready: Any, ask: Send, fields: dict[str, Any], wrong: str) -> None:
    answer = await ask("v1/completions", {"prompt": [97, 98, 99], "turbopilot": fields})
    assert (answer.code, json.loads(answer.body)["error"]["param"]) == (400, wrong)


@pytest.mark.parametrize("engine", ["scripted"], indirect=True)
async def test_models_include_the_engines_capabilities(pilot: Any, engine: ScriptedEngine, ask: Send) -> None:
    (before,) = json.loads((await ask("v1/models", method="GET")).body)["data"]
    assert before["turbopilot"] == {"version": 1}
    pilot.start()
    while not json.loads((await ask("health", method="GET")).body)["ready"]:
        pass
    (model,) = json.loads((await ask("v1/models", method="GET")).body)["data"]
    assert model["turbopilot"] == json.loads(msgspec.json.encode(describe_engine(engine)))
    assert model["turbopilot"]["vocabulary"] == vocabulary_digest(engine.vocabulary)
    assert json.loads((await ask(f"v1/models/{model['id']}", method="GET")).body) == model
    # A sleeping server returns the last description; a completion wakes it.
    pilot.worker._life.state = EngineState(Phase.UNLOADED, "tiny.gguf")
    pilot.worker._loop.engine = None
    (asleep,) = json.loads((await ask("v1/models", method="GET")).body)["data"]
    assert asleep["turbopilot"] == model["turbopilot"]


@given(
    st.lists(st.binary(min_size=3, max_size=6), max_size=4),
    st.integers(0, 3),
    st.none() | st.integers(0, 2**31 - 1),
    st.lists(st.integers(0, 2**31 - 1), max_size=5),
    st.tuples(st.integers(0, 3), st.integers(0, 3)).map(sorted).map(tuple),
    st.sampled_from([None, *(priority.name.lower() for priority in Priority)]),
)
def test_request_survives_the_round_trip(
    candidates: list[bytes],
    typed: int,
    banned: int | None,
    hint: list[int],
    span: tuple[int, int],
    priority: Any,
) -> None:
    beginning = PrefixConstraint(tuple(candidates), typed if candidates else 0, banned)
    sent = EngineRequest(
        [1, 2, 3, 4], Sampling(9, beginning=beginning), hint=hint, suffix_span=span, context_end=1
    )
    body = read_body(json.dumps(body_of(sent, priority=priority)).encode(), CompletionsBody)
    (text,) = body.texts()
    assert text.prompt == (1, 2, 3, 4)
    found = text.sampling.beginning
    assert (found.typed, found.banned) == (beginning.typed, beginning.banned)
    assert set(found.candidates) <= set(candidates)
    assert all(way.startswith(found.candidates) for way in candidates)
    assert not any(
        way.startswith(other) for way in found.candidates for other in found.candidates if other is not way
    )
    assert text.exact == ExactRequest(tuple(hint), True, span, 1, priority)
