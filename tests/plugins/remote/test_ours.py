"""Two Turbopilot servers: a remote engine generates the same text as the server's engine."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.plugins.remote.address import ENGINE_KEY
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token, Usage
from jupyter_turbopilot.protocol.errors import EngineGoneError

from ...serving import Server
from ...tiny_model import learn_merges, write_tiny_model
from .conftest import Connect

CODE = "import numpy as np\ndef mean(values):\n    return sum(values) / len(values)\n" * 3
SAMPLINGS = (
    Sampling(12),
    Sampling(12, top=3),
    Sampling(8, beginning=PrefixConstraint((b"print", b"pass"), 1)),
    Sampling(8, temperature=0.9, seed=7, top_k=0, top_p=1.0),
)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    path = write_tiny_model(tmp_path_factory.mktemp("ours") / "tiny.gguf", merges=learn_merges(CODE, 40))
    engine = LlamaEngine(path, LoadPlan(1024, 1), name="tiny")
    engine.path = path  # type: ignore[attr-defined]
    yield engine
    engine.close(keep=False)


@pytest.fixture(scope="module")
def server(local: Any) -> Iterator[Server]:
    server = Server(local.path)
    yield server
    server.stop()


def write(engine: Engine, engine_request: EngineRequest) -> list[Token]:
    run: Any = engine.start(engine_request)
    tokens: list[Token] = []
    while not run.done:
        engine.step([run], Cancel())
        tokens += run.fresh
        run.fresh = []
    engine.release(run)
    return tokens


def test_remote_engine_generates_the_same_tokens_and_probabilities(
    local: LlamaEngine, server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_KEY, server.key)
    engine = connect(server.url, vocabulary=local.vocabulary)
    for at in range(0, 60, 3):
        prompt = local.vocabulary.tokenize(CODE[: 20 + at])
        hint = tuple(local.vocabulary.tokenize(CODE[20 + at : 40 + at], continues=True))
        for sampling in SAMPLINGS:
            here, there = (
                write(one, EngineRequest(prompt, sampling, Usage(), hint, language="python"))
                for one in (local, engine)
            )
            assert [(token.id, token.data) for token in there] == [(token.id, token.data) for token in here]
            assert [token.probability for token in there] == pytest.approx(
                [token.probability for token in here], rel=1e-2
            )
            assert [len(token.top) for token in there] == [sampling.top] * len(there)


def test_remote_engine_reports_cached_tokens_before_the_end(
    local: LlamaEngine, server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_KEY, server.key)
    engine = connect(server.url, vocabulary=local.vocabulary)
    prompt = local.vocabulary.tokenize(CODE[:90] + "z")
    for cached in (0, len(prompt) - 1):
        engine_request = EngineRequest(prompt, Sampling(200), Usage())
        run: Any = engine.start(engine_request)
        while not (run.fresh or run.done):
            engine.step([run], Cancel())
        engine.release(run)
        assert engine_request.usage.cached_tokens >= cached


def test_remote_engine_notices_a_changed_version(
    local: LlamaEngine, server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_KEY, server.key)
    engine = connect(server.url, vocabulary=local.vocabulary)
    exchange: Any = engine._exchange
    assert write(engine, EngineRequest(local.vocabulary.tokenize("x"), Sampling(2), Usage()))
    exchange._remote = structs.replace(exchange._remote, version="0123")
    with pytest.raises(EngineGoneError, match="another model"):
        write(engine, EngineRequest(local.vocabulary.tokenize("x"), Sampling(2), Usage()))
