import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from jupyter_turbopilot.cli import parser
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.kind import kind_of
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.engine.llama.vocabulary import LlamaVocabulary, load_vocabulary
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.plugins.remote.kind import LatestVocabulary, RemoteKind
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.errors import EngineGoneError, NotReadyError
from jupyter_turbopilot.settings.config import Turbopilot

from ...serving import Server
from ...tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("far") / "tiny.gguf")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    server = Server(model, "--no-api-key")
    yield server
    server.stop()


def kind_with(url: str, **remote: Any) -> RemoteKind:
    chosen = Turbopilot(engine="remote", config=Config(TurbopilotRemote={"url": url, **remote}))
    return RemoteKind(chosen, store_of(chosen))


def test_address_contains_the_host_and_no_secret() -> None:
    assert kind_with("http://127.0.0.1:9/v1").address == "127.0.0.1:9"
    assert kind_with("http://ada:hush@127.0.0.1:9/v1").address == ""


def test_load_uses_the_vocabulary_of_a_model_file(server: Server, model: Path) -> None:
    kind = kind_with(server.url, vocabulary=str(model))
    engine = kind.load(kind.find(""), Cancel(), adapters_enabled=True)
    assert isinstance(engine.vocabulary, LlamaVocabulary)
    assert [one.name for one in kind.models("")] == [engine.name]
    assert kind.stored(kind.find(""))
    engine.close()


@pytest.mark.parametrize("vocabulary", ["none", "auto"])
def test_load_sends_text_without_a_vocabulary(server: Server, vocabulary: str) -> None:
    kind = kind_with(server.url, vocabulary=vocabulary)
    engine = kind.load(kind.find(""), Cancel(), adapters_enabled=True)
    assert isinstance(engine.vocabulary, CodePoints)
    engine.close()


def test_load_names_the_command_for_a_missing_vocabulary() -> None:
    kind = kind_with("http://127.0.0.1:9/v1", vocabulary="qwen2.5-coder-7b")
    with pytest.raises(NotReadyError) as missing:
        kind.load(kind.find(""), Cancel(), adapters_enabled=True)
    command = missing.value.message.rpartition("run: ")[2]
    assert command == "jupyter turbopilot models pull --engine llama qwen2.5-coder-7b"
    given = parser().parse_args(shlex.split(command)[2:])
    settings = Turbopilot(engine=given.engine, model=given.model)
    assert isinstance(kind_of(settings, store_of(settings)), LlamaKind)  # a local engine


def test_examine_reports_an_unreachable_server() -> None:
    kind = kind_with("http://127.0.0.1:9/v1")
    with pytest.raises(EngineGoneError, match=r"127\.0\.0\.1:9"):
        kind.load(kind.find(""), Cancel(), adapters_enabled=True)
    (finding,) = kind.examine()
    assert finding.problem
    assert "127.0.0.1:9" in finding.text


def test_examine_reports_server_model_and_vocabulary(server: Server, model: Path) -> None:
    engine, vocabulary = kind_with(server.url, vocabulary=str(model)).examine()
    assert engine.text.endswith("model tiny.gguf")
    assert "token ids" in vocabulary.text
    _, vocabulary = kind_with(server.url, vocabulary="none").examine()
    assert "sent as text" in vocabulary.text


def test_examine_reports_different_vocabularies(server: Server, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other.gguf", merges=[("a", "b")])
    (finding,) = kind_with(server.url, vocabulary=str(other)).examine()
    assert finding.problem
    assert "another vocabulary" in finding.text


@pytest.mark.parametrize("called", ["tiny", "/srv/models/tiny.gguf", "C:\\models\\tiny.gguf"])
def test_vocabulary_is_found_by_the_models_name_or_file(
    called: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Model(name="tiny", file="tiny.gguf", path=model)
    monkeypatch.setattr(f"{RemoteKind.__module__}.catalog", lambda: {"tiny": known})
    monkeypatch.setattr(f"{RemoteKind.__module__}.find", lambda _: known)
    kind = kind_with("http://127.0.0.1:9/v1")
    assert isinstance(kind._vocabulary_of(called), LlamaVocabulary)
    assert kind._vocabulary_of("another") is None


@pytest.mark.parametrize(
    ("model", "licence"),
    [
        ("smollm2-135m", "Apache-2.0"),
        (f"/models/{catalog()['qwen2.5-coder-3b'].file}", "Qwen research"),
        ("somebodys-own", "unknown"),
        ("", "unknown"),
    ],
)
def test_find_returns_the_licence_of_a_catalogue_model(model: str, licence: str) -> None:
    (reported,) = kind_with("http://127.0.0.1:9/v1", model=model).models("")
    assert (reported.licence, reported.engine) == (licence, "remote")


def test_latest_vocabulary_is_reloaded_only_if_its_file_changes(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "a.gguf")
    loaded: list[LlamaVocabulary] = []

    def load(file: Path) -> LlamaVocabulary:
        loaded.append(load_vocabulary(file))
        return loaded[-1]

    latest = LatestVocabulary()
    first = latest.of(path, load)
    assert latest.of(path, load) is first
    write_tiny_model(path, merges=[("a", "b")])
    second = latest.of(path, load)
    assert len(loaded) == 2
    assert second.tokenize("ab") != [ord("a"), ord("b")]
