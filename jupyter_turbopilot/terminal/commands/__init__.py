"""The subcommands of `jupyter turbopilot`. They import heavy modules only when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.evaluate import command as evaluate
from jupyter_turbopilot.plugins.evaluate import size
from jupyter_turbopilot.plugins.train import command as train
from jupyter_turbopilot.plugins.usage import command as usage_log
from jupyter_turbopilot.terminal.commands import (
    bench,
    cache,
    complete,
    doctor,
    generate,
    models,
    notebook_index,
    removing,
    serve,
)

if TYPE_CHECKING:
    from jupyter_turbopilot.terminal.commands.command import Entry

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
    notebook_index.COMMAND,
    usage_log.COMMAND,
    removing.PURGE,
    removing.FORGET,
    doctor.COMMAND,
)
