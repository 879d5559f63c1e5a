"""The load test: a child process loads and runs a model before its first load in this process."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.child_process.engine import loading
from jupyter_turbopilot.engine.child_process.messages import REFUSED, UNEXPECTED, Close, Start, Step
from jupyter_turbopilot.engine.child_process.process import judge, refusal
from jupyter_turbopilot.engine.load.machine import processor
from jupyter_turbopilot.models.gguf import stamp
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import ModelRefusedError
from jupyter_turbopilot.util.files import read_object, replace_content

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.llama.engine import HostedLlama

MAX_VERDICTS = 64
PROMPT = 48  # tokens: engines evaluate batches with other instructions than a single token
PASSED = "ok"


def ensure_loads(hosted: HostedLlama, memory: Path, *, timeout: float, cancel: Cancel) -> None:
    """Refuse a model unless a child process can load and run it, or could earlier."""
    key = _key(hosted)
    known = str(read_object(memory).get(key) or "")
    if not known:
        try:
            _test(hosted, timeout, cancel)
            known = PASSED
        except ModelRefusedError as error:
            if error.code != "model_refused":  # the cause may go away
                raise
            known = error.message
        verdicts = dict(list(read_object(memory).items())[1 - MAX_VERDICTS :])
        with suppress(OSError):  # on a read-only disk the test is repeated each time
            replace_content(memory, json.dumps(verdicts | {key: known}).encode(), private=True)
    if known != PASSED:
        raise ModelRefusedError(known, code="model_refused")


def _key(hosted: HostedLlama) -> str:
    """Return a digest of file, engine, processor and settings: a change of any needs another test."""
    from jupyter_turbopilot.engine.llama.bindings import installation

    path, plan = Path(hosted.path), hosted.plan
    settings = f"{plan.context_size}|{plan.cells}|{plan.threads}|{plan.is_mapped}|{plan.hardware.stamp}"
    about = f"{path.resolve()}|{stamp(path)}|{installation()}|{processor()}|{settings}"
    return hashlib.sha256(about.encode()).hexdigest()[:32]


def _test(hosted: HostedLlama, timeout: float, cancel: Cancel) -> None:
    """Load a model, evaluate a prompt and generate two tokens in a child process."""
    end = time.monotonic() + timeout
    with loading(hosted, cancel, timeout=timeout) as (process, about):
        engine_request = EngineRequest([0] * min(PROMPT, about.context_size // 2), Sampling(max_tokens=2))
        reply = process.ask(Start(0, engine_request), timeout)
        while not reply.failure and not reply.runs[0].done:
            reply = process.ask(Step((0,)), max(0.1, end - time.monotonic()))
        if reply.failure:
            message = reply.failure.error().message
            raise refusal(hosted, judge(1 if message.startswith(UNEXPECTED) else REFUSED, message))
        process.ask(Close(keep=False), timeout)
        process.end()
