from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from jupyter_turbopilot.completer import suggestion_plan
from jupyter_turbopilot.context import notebook
from jupyter_turbopilot.suggestion import joining, names, resolve, syntax
from jupyter_turbopilot.util.bounds import tenant_cache

from ..shared_cases import Twins, missing


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """A process that runs the TypeScript functions."""
    if reason := missing():
        pytest.skip(reason)
    started = Twins(tmp_path_factory.mktemp("twins"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def twins(program: Twins) -> Iterator[Twins]:
    """The same functions in TypeScript. Python omits only the secrets that the page recognizes, which are fewer."""
    with pytest.MonkeyPatch.context() as patch, tenant_cache("a page"):
        patch.setattr(notebook, "without_secrets", partial(program, "without_secrets"))
        yield program


@pytest.fixture(scope="module", autouse=True)
def _without_parsers() -> Iterator[None]:
    """Let Python check syntax like a page without a grammar: by brackets, and names by patterns."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (joining, syntax):
            patch.setattr(module, "judge", lambda _, text: (int(not syntax.scan(text).balanced), 0))
        patch.setattr(names, "bindings", resolve._loose_bindings)
        patch.setattr(suggestion_plan, "Names", lambda request, *_: names.Names(request, resolve.Scope()))
        patch.setattr(notebook, "describe", lambda *_: "")
        yield
