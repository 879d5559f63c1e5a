"""Whether an engine can still write, asked after a failure."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.errors import EngineGoneError
from jupyter_turbopilot.generation import Ask, Sampling

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine

log = logging.getLogger(__name__)
MAX_STEPS = 8  # a text of one token takes fewer, or never ends


def can_write(engine: Engine) -> bool:
    """Tell whether an engine writes a text of one token; True where it has no room to try.

    An engine that says itself that it is gone is not asked twice: its error goes on.
    """
    try:
        run = engine.start(Ask([0], Sampling(max_tokens=1)))
        if run is None:
            return True  # the next steps of those who have the room will show it
        try:
            for _ in range(MAX_STEPS):
                engine.step([run], Cancel())
                if run.done or run.fresh:
                    break
        finally:
            engine.release(run)
    except EngineGoneError:
        raise
    except BaseException:
        log.exception("Turbopilot: the engine has failed")
        return False
    return True
