import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_turbopilot.engine.llama import kind
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.jupyter.describe import describe_models
from jupyter_turbopilot.jupyter.pilot.library import MAX_DOWNLOADS, Library, store_of
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.protocol.errors import BadRequestError, BusyError, CancelledError, DownloadError
from jupyter_turbopilot.settings.config import Turbopilot

from ...scripted_engine import ScriptedEngine, pilot_with


@pytest.fixture
def pilot() -> Iterator[Pilot]:
    pilot = pilot_with(Turbopilot(), lambda *_: ScriptedEngine())
    yield pilot
    pilot.stop()


@pytest.fixture
def library() -> Library:
    store = store_of(Turbopilot())
    return Library(store, LlamaKind(Turbopilot(), store))


@pytest.mark.parametrize("failure", [RuntimeError("x"), MemoryError(), SystemExit(), KeyboardInterrupt()])
def test_download_ends_with_an_error_for_any_failure(
    pilot: Pilot, failure: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr("jupyter_turbopilot.engine.llama.kind.obtain", fail)
    download = pilot.download("smollm2-135m")
    assert download.finished.wait(30)
    assert download.error
    assert download.error.message
    (listed,) = (model for model in describe_models(pilot) if model["name"] == "smollm2-135m")
    assert (listed["pulling"], listed["failed"]) == (False, download.error.message)


def test_library_tracks_a_limited_number_of_downloads(pilot: Pilot, monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()

    def slow(*_: Any, **__: Any) -> None:
        free.wait(30)
        raise DownloadError("There is no such file.")

    monkeypatch.setattr(kind, "obtain", slow)
    under_way = [pilot.download(f"https://example.org/{n}.gguf") for n in range(MAX_DOWNLOADS)]
    with pytest.raises(BusyError):
        pilot.download("https://example.org/more.gguf")
    assert pilot.download("https://example.org/3.gguf") is under_way[3]
    free.set()
    assert all(download.finished.wait(30) for download in under_way)
    for number in range(3 * MAX_DOWNLOADS):
        assert pilot.download(f"https://example.org/again-{number}.gguf").finished.wait(30)
    failed = f"https://example.org/again-{3 * MAX_DOWNLOADS - 1}.gguf"
    ended = pilot.library.download_of(find(failed))
    assert ended
    assert ended.failure


def test_cancel_stops_a_download_without_a_failure(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(*given: Any, **_: Any) -> None:
        assert given[3].wait(30)
        raise CancelledError("The download was cancelled.")

    monkeypatch.setattr(kind, "obtain", wait)
    download = library.download("smollm2-135m")
    with pytest.raises(BadRequestError, match="is being downloaded"):
        library.remove(find("smollm2-135m"))
    assert library.cancel("smollm2-135m")
    assert download.finished.wait(30)
    assert download.failure is None
    assert not library.cancel("smollm2-135m")


def test_advice_keeps_the_highest_speed_and_counts_only_the_memory_of_a_loaded_model(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 2 * 10**9)
    small, larger = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
    assert library.advice(small, 70.0)[larger].verdict == "runs"
    assert library.advice(small, 20.0)[larger].verdict == "runs", "another program computes"
    assert library.advice("", 0)[larger].verdict == "too large", "nothing of a model is in memory"
    assert library.advice("", 0)[small].tokens_per_second == pytest.approx(70.0)


@pytest.mark.parametrize("waits", [True, False])
def test_download_leaves_the_copy_to_the_load_that_does_not_wait_for_it(
    pilot: Pilot, monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    made: list[str] = []
    monkeypatch.setattr(kind, "obtain", lambda *_, **__: None)
    monkeypatch.setattr(pilot.kind, "merge_adapters", lambda model, _: made.append(model.name))
    pilot.kind.waits_for_copy = waits
    download = pilot.download("smollm2-135m", select=False)
    assert download.finished.wait(30)
    assert download.error is None
    assert made == ["smollm2-135m"] * waits
