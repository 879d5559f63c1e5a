"""The subcommands of `jupyter turbopilot`. They import heavy modules only when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.commands import (
    bench,
    cache,
    complete,
    doctor,
    evaluate,
    generate,
    memory,
    models,
    removing,
    serve,
    size,
    train,
    usage_log,
)

if TYPE_CHECKING:
    from jupyter_turbopilot.commands.command import Entry

COMMANDS: tuple[Entry, ...] = (
    complete.COMMAND,
    models.COMMAND,
    generate.COMMAND,
    bench.COMMAND,
    train.COMMAND,
    serve.SERVE,
    serve.HUB_CONFIG,
    size.COMMAND,
    evaluate.COMMAND,
    cache.COMMAND,
    memory.COMMAND,
    usage_log.COMMAND,
    removing.PURGE,
    removing.FORGET,
    doctor.COMMAND,
)
