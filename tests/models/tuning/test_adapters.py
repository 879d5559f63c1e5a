from pathlib import Path

import pytest

from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.tuning import adapters
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec, adapters_of, chosen, read_spec
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.settings.config import Turbopilot


def test_read_spec_parses_strength() -> None:
    assert read_spec("a.gguf") == ("a.gguf", 1.0)
    assert read_spec("a.gguf=0.5") == ("a.gguf", 0.5)
    assert read_spec("x=y/a.gguf") == ("x=y/a.gguf", 1.0)
    assert read_spec("me@work/a.gguf") == ("me@work/a.gguf", 1.0)
    assert read_spec("~/a.gguf")[0].startswith("/")
    for spec in ("a=0", "a=-1", "a=99", "a=nan"):
        with pytest.raises(BadRequestError, match="must be above 0 and at most 8"):
            read_spec(spec)


def test_chosen_limits_adapters_to_their_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "_FOLDER", tmp_path)
    (tmp_path / "one.gguf").touch()
    specs = ["default=0.5", "mine.gguf"]
    ours = str(tmp_path / "one.gguf")
    assert chosen(specs, "one", configured=True) == ((ours, 0.5), ("mine.gguf", 1.0))
    assert chosen(specs, "one", configured=False) == ((ours, 0.5),)
    assert chosen(specs, "two", configured=True) == (("mine.gguf", 1.0),)
    assert chosen([], "one", configured=True) == ()


def test_adapters_of_is_empty_for_other_engines() -> None:
    settings = Turbopilot(model="smollm2-135m", adapters=["/a/mine.gguf"])
    mine = (AdapterSpec("/a/mine.gguf"),)
    assert adapters_of(settings, find("smollm2-135m")) == mine
    assert adapters_of(settings, find("qwen2.5-coder-7b")) == ()
    assert adapters_of(settings, Model("smollm2-135m", "", engine="remote")) == ()
