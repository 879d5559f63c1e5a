from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_turbopilot.engine.llama import kind
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.jupyter.describe import describe_models
from jupyter_turbopilot.jupyter.pilot.library import Library, store_of
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.protocol.errors import BadRequestError, CancelledError
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
