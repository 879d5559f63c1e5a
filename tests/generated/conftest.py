from collections.abc import Iterator
from functools import partial

import pytest

from jupyter_turbopilot.context import notebook
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
