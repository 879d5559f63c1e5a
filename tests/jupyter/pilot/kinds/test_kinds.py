from __future__ import annotations

import pytest

from jupyter_turbopilot.jupyter.pilot.kinds import KINDS, kind_of
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.settings.config import Turbopilot


def test_kinds_match_the_setting() -> None:
    assert [*Turbopilot.engine.values] == [*KINDS]  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", KINDS)
def test_kind_of_creates_each_kind(engine: str) -> None:
    settings = Turbopilot(engine=engine)
    assert type(kind_of(settings, store_of(settings))).__name__ == KINDS[engine]
