"""Contexts and prompts that Python and the front end's TypeScript make alike."""

from dataclasses import asdict
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from jupyter_turbopilot.context import notebook
from jupyter_turbopilot.context.notebook import Context
from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot

from ..shared_cases import Twins
from .kinds import EXAMPLES, LANGUAGE, TEXT

CELLS = st.lists(
    st.builds(
        Cell,
        type=st.sampled_from(["code", "code", "code", "markdown", "raw"]),
        source=TEXT,
        executed=st.sampled_from([True, False, None]),
        error=st.none() | st.sampled_from(["KeyError: 'x'", "a\nb\n", "password = 'hunter22'"]),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def requests(draw: st.DrawFn) -> Completion:
    cells = draw(CELLS)
    active = draw(st.integers(0, len(cells) - 1))
    return Completion(
        cells=cells,
        active=active,
        offset=draw(st.integers(0, len(cells[active].source))),
        language=draw(LANGUAGE),
        path=draw(st.sampled_from(["a.ipynb", "a.ipynb", "conf/.env"])),
    )


@EXAMPLES
@given(requests())
def test_the_same_context_is_gathered(twins: Twins, request: Completion) -> None:
    found = asdict(notebook.gather(request))
    assert twins("gather", to_builtins(request)) == found | {"pieces": [*found["pieces"]]}


class CharacterEngine:
    """The part of an engine that the layout of its prompts depends on."""

    fim = "auto"
    capabilities = Capabilities()

    def __init__(self, context_size: int) -> None:
        self.context_size = context_size
        self.vocabulary = CodePoints(fills=True)
        self.vocabulary.by_character = True


@EXAMPLES
@given(
    st.lists(TEXT, max_size=8),
    TEXT,
    TEXT,
    st.sampled_from([200, 300, 2048]),
    st.tuples(st.sampled_from([64, 100, 1024]), st.sampled_from([0, 8, 96]), st.sampled_from([2, 48])),
    st.sampled_from([None, 1, 40]),
)
def test_prompts_are_laid_out_alike(
    twins: Twins,
    pieces: list[str],
    prefix: str,
    suffix: str,
    size: int,
    budget: tuple[int, int, int],
    most: Any,
) -> None:
    pieces = [piece * 5 for piece in pieces]
    engine: Any = CharacterEngine(size)
    prompt_tokens, suffix_tokens, max_tokens = budget
    settings = Turbopilot(prompt_tokens=prompt_tokens, max_tokens=max_tokens)
    request = Completion(cells=[Cell()], offset=0, max_tokens=most)
    layout = Layout(engine, settings, suffix_tokens)
    # Measured with the page's model: an outline and the best of the omitted cells save nothing.
    with mock.patch.object(layout, "_best_of", return_value=[]):
        prompt = layout.prompt(request, Context(tuple(pieces), prefix, suffix))
    context = {"pieces": pieces, "prefix": prefix, "suffix": suffix}
    limits = {"promptTokens": prompt_tokens, "suffixTokens": suffix_tokens, "maxTokens": max_tokens}
    assert twins("layout", context, size, limits, most) == prompt.tokens
