"""Which dialect a far side is spoken to in, and what it can do then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.base import Abilities
from jupyter_turbopilot.engine.remote import provider
from jupyter_turbopilot.engine.remote.by_ids import ByIds
from jupyter_turbopilot.engine.remote.by_llama import LlamaByIds, LlamaByText
from jupyter_turbopilot.engine.remote.by_text import ByText
from jupyter_turbopilot.engine.remote.dialect import samplers
from jupyter_turbopilot.engine.remote.far_side import Kind

if TYPE_CHECKING:
    from jupyter_turbopilot.config import TurbopilotRemote
    from jupyter_turbopilot.engine.remote.dialect import Dialect
    from jupyter_turbopilot.engine.remote.far_side import FarSide
    from jupyter_turbopilot.engine.remote.survey import TextForm
    from jupyter_turbopilot.engine.remote.text_prompt import Spellings
    from jupyter_turbopilot.engine.vocabulary import Vocabulary

UNTOLD_PLACES = 4  # texts that a server is asked for at a time that does not say itself
TOPS = {Kind.LLAMA: 100, Kind.VLLM: 20, Kind.OPENAI: 5}  # of the likeliest tokens, with ids


def by_ids(far: FarSide, vocabulary: Vocabulary, remote: TurbopilotRemote) -> tuple[Dialect, Abilities]:
    """Speak of tokens by their ids: the vocabulary is known."""
    ahead = remote.ahead != "no"
    if far.kind is Kind.LLAMA:
        honoured = samplers("llama")
        return LlamaByIds(vocabulary), _abilities(
            far, remote, holds=True, top=TOPS[far.kind], ahead=ahead, samplers=honoured
        )
    dialect = ByIds(far, vocabulary)
    honoured = samplers(dialect.style)
    if far.kind is Kind.OURS:
        return dialect, _abilities(
            far,
            remote,
            holds=far.holds,
            chances=far.chances,
            top=far.top,
            ahead=ahead and far.ahead,
            samplers=honoured & far.samplers,
        )
    return dialect, _abilities(far, remote, top=TOPS[far.kind], ahead=ahead, samplers=honoured)


def by_text(
    far: FarSide, form: TextForm, spellings: Spellings, remote: TurbopilotRemote
) -> tuple[Dialect, Abilities]:
    """Send text, and get text."""
    dialect: Dialect
    if far.kind is Kind.PROVIDER:
        dialect, honoured = provider.ByProvider(spellings), provider.SAMPLERS
    elif form.hole == "infill" or (far.kind is Kind.LLAMA and form.hole == "none"):
        # Whose ids a bias is for, nobody knows in text.
        dialect, honoured = LlamaByText(spellings), samplers("llama") - {"drawn", "logit_bias"}
    else:
        dialect, honoured = ByText(far.model, spellings, chances=form.chances), samplers("openai")
    ahead = remote.ahead == "yes"
    return dialect, _abilities(far, remote, chances=form.chances, ahead=ahead, samplers=honoured)


def _abilities(far: FarSide, remote: TurbopilotRemote, **abilities: Any) -> Abilities:
    defaults = {"holds": False, "chances": True, "top": 0}
    places = remote.places or far.places or UNTOLD_PLACES
    return Abilities(places=places, elsewhere=True, **(defaults | abilities))
