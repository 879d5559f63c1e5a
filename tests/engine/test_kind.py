from __future__ import annotations

from collections.abc import Callable

import pytest
from traitlets import TraitError

from jupyter_turbopilot.engine.kind import kind_of
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util import registry


@pytest.mark.parametrize("engine", [entry.name for entry in registry.found("engines") if entry.is_own])
def test_kind_of_creates_each_kind(engine: str) -> None:
    settings = Turbopilot(engine=engine)
    assert type(kind_of(settings, store_of(settings))).__name__.lower() == f"{engine}kind"


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Register an engine `other` as another distribution does."""

    def register(value: str) -> None:
        entries = [registry.Entry("other", value)]
        monkeypatch.setattr(registry, "registered", lambda: {"engines": entries})

    return register


def test_engine_of_another_distribution_is_accepted(other: Callable[[str], None]) -> None:
    other(f"{__name__}:LlamaKind")
    settings = Turbopilot(engine="other")
    assert isinstance(kind_of(settings, store_of(settings)), LlamaKind)
    with pytest.raises(TraitError, match=r"any of \['llama', 'other'\], not the str"):
        Turbopilot(engine="unknown")


def test_engine_that_cannot_be_imported_is_refused(other: Callable[[str], None]) -> None:
    other("missing_package:Kind")
    with pytest.raises(TraitError, match=r"The engine other cannot be imported: ModuleNotFoundError"):
        Turbopilot(engine="other")
