"""Generated tables of the documentation, called by `cog`."""

from __future__ import annotations

import inspect
import re
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import SAMPLING_OPTIONS, Capabilities
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.plugins.remote.dialect import Spellings
from jupyter_turbopilot.plugins.remote.loading import capabilities_of, choose_dialect, text_dialects
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.plugins.transformers.engine import TransformersEngine
from jupyter_turbopilot.settings import config
from jupyter_turbopilot.terminal.commands.command import summary_of
from jupyter_turbopilot.util import registry

if TYPE_CHECKING:
    from collections.abc import Iterable

# A page is named by its title, as docs/ is not installed. Help texts have line breaks between the words.
PAGE = re.compile(r"the\s+([A-Z]\w+(?:\s+[a-z]+)?)\s+page\s+of\s+the\s+documentation")
# The settings of the server that many users or administrators change.
DAILY = {
    "denied_paths", "eagerness", "enabled", "engine", "gpu_layers", "idle_minutes", "kernel_context", "model",
    "models_dir", "notebook_index", "suggest_fixes", "threads", "yield_cpu",
}  # fmt: skip


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|" for cells in lines)
    return PAGE.sub(lambda found: f"[{found[1]}]({file_of(found[1])})", text)


def file_of(title: str) -> str:
    """Return the name of a page's file in docs/."""
    return f"{'-'.join(title.lower().split())}.md"


def settings(section: str, *, daily: bool | None = None) -> str:
    """Return the table of a configuration section's traits. `daily`: only these, or only the others."""
    (kind,) = (kind for kind in config.sections() if kind.__name__ == section)
    traits = sorted(
        (name, trait)
        for name, trait in kind.class_own_traits(config=True).items()
        if daily is None or daily == (name in DAILY)
    )
    rows = (
        [f"`{name}`", "`(empty)`" if trait.default() in ("", []) else f"`{trait.default()}`", trait.help]
        for name, trait in traits
    )
    return _table(["trait", "default", "what it does"], rows)


def capabilities() -> str:
    """Return the table of engine capabilities; for remote servers as reported or configured."""
    ours = RemoteServer(
        Kind.OURS,
        slots=8,
        context_size=4096,
        top=20,
        prefix_constraints=True,
        logprobs=True,
        samplers=SAMPLING_OPTIONS,
    )
    engines: dict[str, Capabilities] = {
        "llama": LlamaEngine.capabilities,
        "transformers": TransformersEngine.capabilities,
        "remote Turbopilot": _by_ids(ours),
        "llama-server": _by_ids(RemoteServer(Kind.LLAMA, slots=1)),
        "vLLM": _by_ids(RemoteServer(Kind.VLLM)),
        "text": _by_text(RemoteServer(Kind.OPENAI)),
    }
    word = {True: "yes", False: "no"}
    rows = {
        "concurrent sequences": [str(one.slots) for one in engines.values()],
        "prefix constraint": [word[one.prefix_constraints] for one in engines.values()],
        "logprobs": [word[one.logprobs] for one in engines.values()],
        "prefetch": [word[one.prefetch] for one in engines.values()],
    }
    return _table(["", *engines], ([name, *cells] for name, cells in rows.items()))


def _by_ids(peer: RemoteServer) -> Capabilities:
    dialect = choose_dialect(peer, CodePoints(), Spellings())
    return capabilities_of(peer, dialect, TurbopilotRemote())


def _by_text(peer: RemoteServer) -> Capabilities:
    *_, dialect = text_dialects(peer, "suffix", Spellings())  # the last one does not ask for logprobs
    return capabilities_of(peer, dialect, TurbopilotRemote())


def command_line() -> str:
    """Return a table of the subcommands."""
    # Only our own: those of other distributions depend on the environment.
    own = [entry for entry in registry.found("commands") if entry.is_own]
    order = [entry.name for entry in own]
    rows = [
        [f"`{entry.name.replace('.', ' ')}`", summary_of(entry) or ""]
        for entry in sorted(own, key=lambda entry: order.index(entry.name.partition(".")[0]))
        if not any(name.startswith(f"{entry.name}.") for name in order)  # a group
    ]
    return _table(["command", "what it does"], rows)


def members(kind: type) -> str:
    """Return a table of a class's public properties and methods."""
    rows = []
    for name, member in vars(kind).items():
        if name.startswith("_") or not isinstance(member, FunctionType | property | cached_property):
            continue
        call = ""
        if isinstance(member, FunctionType):
            _, *parameters = inspect.signature(member).parameters
            call = f"({', '.join(parameters)})"
        rows.append([f"`{name}{call}`", (inspect.getdoc(member) or "").partition("\n")[0]])
    return _table(["member", "what it is or does"], rows)
