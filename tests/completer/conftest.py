from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ..scripted_engine import ScriptedEngine
from .desk import Desk


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    """A completer with a scripted engine."""
    made: list[Desk] = []

    def make(answer: object = "", *, settings: dict[str, object] | None = None, **more: object) -> Desk:
        made.append(Desk(ScriptedEngine(answer, **more), **(settings or {})))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.worker.stop()
