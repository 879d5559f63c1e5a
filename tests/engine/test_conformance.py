"""Runs the checks of `conformance.py` for every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.engine.base import Capabilities, Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.plugins.remote import loading as remote
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions
from jupyter_turbopilot.settings.config import Turbopilot

from ..llama_server import LlamaServer
from ..plugins.transformers import checkpoints
from ..serving import Server
from ..tiny_model import learn_merges, write_tiny_model
from .conformance import CHECKS, Check, Subject

CODE = "import numpy as np\ndef mean(values):\n    return sum(values) / len(values)\nprint('né 😀')\n" * 3
CONTEXT = 256


def llama(folder: Path, **more: Any) -> Callable[[], Engine]:
    path = write_tiny_model(folder / "tiny.gguf", **more)
    return lambda: LlamaEngine(path, LoadPlan(CONTEXT, 1), name="tiny")


class Wrapped:
    """A real engine with changes."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class Modest(Wrapped):
    """An engine with few capabilities."""

    capabilities = Capabilities(
        slots=1,
        prefix_constraints=False,
        logprobs=False,
        top=0,
        prefetch=False,
        samplers=frozenset({"temperature"}),
    )


def modest(folder: Path) -> Callable[[], Any]:
    load = llama(folder)
    return lambda: Modest(load())


def transformers(folder: Path) -> Callable[[], Engine]:
    path = checkpoints.write(folder, "qwen2", max_position_embeddings=CONTEXT)
    return lambda: checkpoints.load(path, TransformersOptions(threads=1), name="tiny")


SERVERS: list[Server | LlamaServer] = []  # the remote servers of the current subject


def served(folder: Path, *, by_text: bool = False) -> Callable[[], Engine]:
    local, server = llama(folder)(), Server(folder / "tiny.gguf")
    SERVERS.append(server)
    settings = Turbopilot()
    settings.section(TurbopilotRemote).url, key = f"{server.url}/v1", folder / "key"
    settings.section(TurbopilotRemote).key_file = str(key)
    key.touch(0o600)
    key.write_text(server.key)
    return lambda: remote.load(settings, Cancel(), lambda _: None if by_text else local.vocabulary)


def llama_served(folder: Path) -> Callable[[], Engine]:
    local = llama(folder, ascii_only=True)()  # llama-server sends no tokens for incomplete characters
    SERVERS.append(LlamaServer(folder / "tiny.gguf", CONTEXT))
    settings = Turbopilot()
    settings.section(TurbopilotRemote).url = SERVERS[-1].url
    return lambda: remote.load(settings, Cancel(), lambda _: local.vocabulary)


LLAMA_SERVER = "remote, llama-server"
# Each function writes the files of an engine into a folder, and returns a function that loads it.
ENGINES: dict[str, Callable[[Path], Callable[[], Engine]]] = {
    "llama": llama,
    "llama with tokens of several bytes": lambda folder: llama(folder, merges=learn_merges(CODE, 60)),
    "llama with few capabilities": modest,
    "transformers": transformers,
    "remote": served,
    LLAMA_SERVER: llama_served,
    "remote by text": lambda folder: served(folder, by_text=True),
}


@pytest.fixture(scope="module", params=ENGINES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """An engine, and a function that loads another instance."""
    loads = ENGINES[request.param](tmp_path_factory.mktemp("engine"))
    made = Subject(loads, by_character=request.param == LLAMA_SERVER)
    yield made
    made.engine.close(keep=False)
    while SERVERS:
        SERVERS.pop().stop()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_engine_has_the_capabilities_that_it_claims(subject: Subject, check: Check) -> None:
    check(subject)
