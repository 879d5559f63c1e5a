"""The engine conformance tests for `remote` behind Ray Serve and vllm-router."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary
from jupyter_turbopilot.plugins.remote.loading import load
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.settings.config import Turbopilot
from tests.engine.conformance import CHECKS, Check, Subject

from .fleet import KEY, Fleet


@pytest.fixture(scope="session")
def subject(fleet: Fleet, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    key = tmp_path_factory.mktemp("key") / "key"
    key.touch(0o600)
    key.write_text(KEY)
    settings = Turbopilot()
    settings.section(TurbopilotRemote).urls = [f"{fleet.url}/v1"]
    settings.section(TurbopilotRemote).key_file = str(key)
    vocabulary = load_vocabulary(model)
    made = Subject(lambda: load(settings, Cancel(), lambda _: vocabulary))
    yield made
    made.engine.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_engine_behind_a_router_conforms(subject: Subject, check: Check) -> None:
    check(subject)
