"""Writes what each engine can do as Markdown, from what the engines state, for docs/engines.md."""

from __future__ import annotations

from jupyter_turbopilot.config import TurbopilotRemote
from jupyter_turbopilot.engine.abilities import SAMPLERS, UNLIMITED, Abilities
from jupyter_turbopilot.engine.code_points import CodePoints
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.remote.dialects import by_ids, by_text
from jupyter_turbopilot.engine.remote.far_side import FarSide, Kind
from jupyter_turbopilot.engine.remote.survey import TextForm
from jupyter_turbopilot.engine.remote.text_prompt import Spellings
from jupyter_turbopilot.engine.transformers.engine import TransformersEngine


def columns() -> dict[str, Abilities]:
    """Return the abilities of each engine; a far side's as it states them, or as the settings' defaults."""
    remote, tokens = TurbopilotRemote(), CodePoints()
    ours = FarSide(
        Kind.OURS, places=8, context_size=4096, top=20, holds=True, chances=True, samplers=SAMPLERS
    )
    text = TextForm("suffix", chances=False)
    return {
        "llama": LlamaEngine.abilities,
        "transformers": TransformersEngine.abilities,
        "ours elsewhere": by_ids(ours, tokens, remote)[1],
        "llama-server": by_ids(FarSide(Kind.LLAMA, places=1), tokens, remote)[1],
        "vLLM": by_ids(FarSide(Kind.VLLM), tokens, remote)[1],
        "text": by_text(FarSide(Kind.OPENAI), text, Spellings(), remote)[1],
    }


def _word(*, able: bool) -> str:
    return "yes" if able else "no"


def _count(most: int) -> str:
    return "any" if most >= UNLIMITED else str(most)


def _options(abilities: Abilities) -> str:
    """List the options of sampling that are honoured, or those that are not where these are fewer."""
    missing = sorted(SAMPLERS - abilities.samplers)
    if not missing:
        return "all"
    if len(missing) <= len(abilities.samplers):
        return "all but " + ", ".join(missing)
    return ", ".join(sorted(abilities.samplers))


def markdown() -> str:
    """Return the table: a line for each ability."""
    engines = columns()
    rows = {
        "texts at a time": [str(one.places) for one in engines.values()],
        "can be held to a beginning": [_word(able=one.holds) for one in engines.values()],
        "says how probable each token was": [_word(able=one.chances) for one in engines.values()],
        "likeliest tokens listed": [_count(one.top) for one in engines.values()],
        "works ahead": [_word(able=one.ahead) for one in engines.values()],
        "options of sampling": [_options(one) for one in engines.values()],
    }
    lines = ["| | " + " | ".join(engines) + " |", "| --- |" + " --- |" * len(engines)]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()]
    return "\n".join(lines)
