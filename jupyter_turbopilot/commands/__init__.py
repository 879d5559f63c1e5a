"""The subcommands of `jupyter turbopilot`, a module each; what is heavy they import when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.commands import (
    bench,
    cache,
    complete,
    doctor,
    evaluate,
    forget,
    generate,
    hub_config,
    memory,
    models,
    purge,
    serve,
    size,
    study,
    train,
)

if TYPE_CHECKING:
    from jupyter_turbopilot.commands.command import Entry

COMMANDS: tuple[Entry, ...] = (
    complete.COMMAND,
    models.COMMAND,
    generate.COMMAND,
    bench.COMMAND,
    train.COMMAND,
    serve.COMMAND,
    hub_config.COMMAND,
    size.COMMAND,
    evaluate.COMMAND,
    cache.COMMAND,
    memory.COMMAND,
    study.COMMAND,
    purge.COMMAND,
    forget.COMMAND,
    doctor.COMMAND,
)
