from __future__ import annotations

import pytest

from jupyter_turbopilot.config import TurbopilotRemote
from jupyter_turbopilot.engine.base import SAMPLERS
from jupyter_turbopilot.engine.remote.by_llama import LlamaByText
from jupyter_turbopilot.engine.remote.by_text import ByText
from jupyter_turbopilot.engine.remote.dialects import by_ids, by_text
from jupyter_turbopilot.engine.remote.far_side import FarSide, Kind
from jupyter_turbopilot.engine.remote.survey import TextForm
from jupyter_turbopilot.engine.remote.text_prompt import Spellings
from jupyter_turbopilot.engine.vocabulary import CodePoints

TOKENS = CodePoints()
OURS = FarSide(Kind.OURS, places=5, top=9, holds=True, chances=True, ahead=True, samplers=SAMPLERS)


@pytest.mark.parametrize(
    ("kind", "hole", "dialect"),
    [
        (Kind.OPENAI, "infill", LlamaByText),
        (Kind.LLAMA, "infill", LlamaByText),
        (Kind.LLAMA, "none", LlamaByText),
        (Kind.LLAMA, "suffix", ByText),
        (Kind.OPENAI, "suffix", ByText),
    ],
)
def test_a_hole_is_sent_as_it_was_found_or_set(kind: Kind, hole: str, dialect: type) -> None:
    form = TextForm(hole, chances=False)  # type: ignore[arg-type]
    spoken, abilities = by_text(FarSide(kind), form, Spellings(), TurbopilotRemote())
    assert type(spoken) is dialect
    assert (abilities.holds, abilities.chances) == (False, False)
    if dialect is LlamaByText:
        assert not {"drawn", "logit_bias"} & abilities.samplers  # nobody knows whose ids they are for


def test_a_server_of_ours_can_do_what_it_says() -> None:
    _, abilities = by_ids(OURS, TOKENS, TurbopilotRemote())
    assert (abilities.places, abilities.top, abilities.holds, abilities.ahead) == (5, 9, True, True)
    assert not by_ids(OURS, TOKENS, TurbopilotRemote(ahead="no"))[1].ahead


@pytest.mark.parametrize(("ahead", "allowed"), [("auto", False), ("yes", True), ("no", False)])
def test_text_is_sent_ahead_only_where_that_is_set(ahead: str, allowed: bool) -> None:
    form, remote = TextForm("suffix", chances=True), TurbopilotRemote(ahead=ahead, places=3)
    _, abilities = by_text(FarSide(Kind.OPENAI), form, Spellings(), remote)
    assert (abilities.ahead, abilities.chances, abilities.places) == (allowed, True, 3)


def test_before_several_servers_more_texts_are_asked_for_than_one_of_them_says() -> None:
    for places, expected in ((0, 5), (3, 3), (64, 64)):
        assert by_ids(OURS, CodePoints(), TurbopilotRemote(places=places))[1].places == expected
    assert by_ids(FarSide(Kind.VLLM), CodePoints(), TurbopilotRemote())[1].places == 4
