import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama import bindings, engine, load_test
from jupyter_turbopilot.engine.llama.bindings import Gpu
from jupyter_turbopilot.engine.llama.kind import LlamaKind, llama_engine
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import LoadPlan, sizes_of
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.folder import COPIES, copies
from jupyter_turbopilot.models.gguf import read_header, stamp
from jupyter_turbopilot.models.model import HubFile, Model
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import CancelledError, ModelRefusedError, NotReadyError
from jupyter_turbopilot.settings.config import Turbopilot

from ...scripted_engine import ScriptedEngine
from ...tiny_adapter import make
from ...waiting import finish
from .children import play


def kind_with(*engine_factory: Any, **settings: Any) -> LlamaKind:
    chosen = Turbopilot(**settings)
    return LlamaKind(chosen, store_of(chosen), *engine_factory)


def test_plan_respects_the_administrators_limits(tiny_model: Path) -> None:
    with pytest.raises(ModelRefusedError, match="max_memory"):
        kind_with(max_memory=1).plan(find(str(tiny_model)), adapters_enabled=True)


def test_load_tests_only_llama_cpp_in_a_child_process(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []
    monkeypatch.setattr(load_test, "ensure_loads", lambda tested, *_, **__: tried.append(Path(tested.path)))
    monkeypatch.setattr(engine, "LlamaEngine", lambda *_, **__: ScriptedEngine())
    model = find(str(tiny_model))
    for factory in (llama_engine, lambda *_: ScriptedEngine()):
        kind_with(factory).load(model, Cancel(), adapters_enabled=True)
    assert tried == [tiny_model]


@pytest.mark.parametrize("keep", [True, False])
def test_load_saves_sequences_in_the_users_folder_unless_disabled(
    tiny_model: Path, own_folder: Path, *, keep: bool
) -> None:
    given: list[tuple[Any, ...]] = []

    def engine(*arguments: Any) -> ScriptedEngine:
        given.append(arguments)
        return ScriptedEngine()

    kind, model = kind_with(engine, keep_sequences=keep), find(str(tiny_model))
    path, plan = kind.plan(model, adapters_enabled=True)
    kind.load(model, Cancel(), adapters_enabled=True)
    assert given == [(path, model, plan, own_folder / "sequences" if keep else None)]


M1, CARD = Gpu("Apple M1", shares_memory=True), Gpu("NVIDIA")


@pytest.mark.parametrize(
    ("gpus", "configured", "layers", "is_weighed", "text"),
    [
        ([], None, 0, True, "no GPU is used"),
        (
            [M1],
            None,
            -1,
            True,
            "all layers on Apple M1. Set c.Turbopilot.gpu_layers = 0 to use the processor",
        ),
        ([M1], 0, 0, True, "no GPU is used"),
        ([M1], -1, -1, True, "all layers on Apple M1"),
        ([CARD], None, 0, True, "tiny.gguf would take about 263 MB of it. Set c.Turbopilot.gpu_layers = -1"),
        ([CARD], 3, 3, True, "3 layers on NVIDIA"),
        ([CARD], -1, -1, False, "all layers on NVIDIA"),
    ],
)
def test_layers_are_on_a_gpu_only_if_it_shares_the_memory_or_is_set(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpus: list[Gpu],
    configured: int | None,
    layers: int,
    text: str,
    *,
    is_weighed: bool,
) -> None:
    monkeypatch.setattr(bindings, "gpus", lambda: gpus)
    kind = kind_with(model=str(tiny_model), gpu_layers=configured, separate_caches=True)
    _, plan = kind.plan(find(str(tiny_model)), adapters_enabled=True)
    assert (plan.hardware.gpu_layers, plan.hardware.separate_caches) == (layers, layers == 0)
    header = read_header(tiny_model)
    assert sizes_of(header, plan.hardware).weights == (header.file_size if is_weighed else 0)
    (graphics,) = [finding for finding in kind.examine() if finding.name == "graphics"]
    assert text in graphics.text
    assert not graphics.problem
    assert (kind.gpu_offer(find(str(tiny_model))) == "") == ("would take" not in text)


@pytest.mark.parametrize("configured", [None, -1])
def test_load_uses_the_processor_if_a_gpu_that_is_not_set_fails(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    configured: int | None,
) -> None:
    monkeypatch.setattr(bindings, "gpus", lambda: [M1])
    tried: list[int] = []

    def factory(_path: Path, _model: Model, plan: LoadPlan, _snapshot: Path | None) -> ScriptedEngine:
        tried.append(plan.hardware.gpu_layers)
        return ScriptedEngine() if not plan.hardware.gpu_layers else refusing()

    kind, model = kind_with(factory, gpu_layers=configured), find(str(tiny_model))
    if configured is None:
        kind.load(model, Cancel(), adapters_enabled=True)
        assert "The GPU cannot be used. It crashed." in caplog.text
    else:
        with pytest.raises(ModelRefusedError):
            kind.load(model, Cancel(), adapters_enabled=True)
    assert tried == ([-1, 0] if configured is None else [-1])


def test_load_keeps_the_gpu_if_the_model_fails_on_the_processor_too(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bindings, "gpus", lambda: [M1])
    kind, model = kind_with(refusing, gpu_layers=None), find(str(tiny_model))
    with pytest.raises(ModelRefusedError):
        kind.load(model, Cancel(), adapters_enabled=True)
    assert kind.hardware(model).gpu_layers == -1


def test_served_is_the_model_while_the_adapters_are_invalid(tiny_model: Path) -> None:
    kind = kind_with(model=str(tiny_model), adapters=["a.gguf=99"])
    assert kind.served(find(str(tiny_model))) == tiny_model


def test_models_lists_the_selected_model_once(models_folder: Path, tmp_path: Path) -> None:
    inside, outside = models_folder / "inside.gguf", tmp_path / "outside.gguf"
    for path in (inside, outside):
        path.write_bytes(b"GGUF")
    kind, known = kind_with(), len(catalog())
    assert [model.path for model in kind.models("smollm2-135m")[known:]] == [inside]
    assert [model.path for model in kind.models(str(inside))[known:]] == [inside]
    assert [model.path for model in kind.models(str(outside))[known:]] == [inside, outside]
    assert [model.path for model in kind.models("no such model")[known:]] == [inside]


def test_merge_adapters_makes_the_copy_for_all(models_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    own = models_folder / "own.gguf"
    own.write_bytes(tiny_model.read_bytes())
    adapter = str(make(tmp_path / "a.gguf"))
    kind = kind_with(model=str(own), adapters=[adapter])
    assert kind.obtain(find(str(own))) == own
    assert copies(models_folder, own) == []
    kind.merge_adapters(find(str(own)))
    (copy,) = copies(models_folder, own)
    path, hardware = kind.weights(find(str(own)))
    assert (path, hardware.adapters) == (copy, ())


def test_merge_adapters_is_cancelled_without_a_copy(
    models_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    own = models_folder / "own.gguf"
    own.write_bytes(tiny_model.read_bytes())
    kind = kind_with(model=str(own), adapters=[str(make(tmp_path / "a.gguf"))])
    with pytest.raises(CancelledError):
        kind.merge_adapters(find(str(own)), lambda: True)
    cancel = Cancel()
    cancel.set("stopped")
    with pytest.raises(CancelledError):
        kind.load(find(str(own)), cancel, adapters_enabled=True)
    assert copies(models_folder, own) == []
    assert kind.served(find(str(own))) == own
    kind.merge_adapters(find(str(own)))
    assert [kind.served(find(str(own)))] == copies(models_folder, own)


@pytest.fixture
def known(models_folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A catalogue model whose file is on disk."""
    data = tiny_model.read_bytes()
    model = Model("known", "known.gguf", (HubFile("o/r", "m.gguf"),), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(catalog(), "known", model)
    (models_folder / model.file).write_bytes(data)
    return model


def refusing(*_: Any) -> Any:
    raise ModelRefusedError("It crashed.")


def test_load_checks_the_digest_of_a_refused_model(known: Model, models_folder: Path) -> None:
    file = models_folder / known.file
    kind = kind_with(refusing, model="known")
    with pytest.raises(ModelRefusedError, match="It crashed"):
        kind.load(known, Cancel(), adapters_enabled=True)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(NotReadyError, match=r"The file of known is damaged\..*models pull known") as damaged:
        kind.load(known, Cancel(), adapters_enabled=True)
    assert damaged.value.code == "model_damaged"
    file.unlink()
    with pytest.raises(NotReadyError) as missing:
        kind.load(known, Cancel(), adapters_enabled=True)
    assert missing.value.code == "model_missing"


def test_examine_computes_the_digest(known: Model, models_folder: Path) -> None:
    file = models_folder / known.file
    kind = kind_with(model="known")
    assert not any(finding.problem for finding in kind.examine() if finding.name == "model")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    (finding,) = [finding for finding in kind.examine() if finding.name == "model"]
    assert finding.problem
    assert finding.text.startswith("The file of known is damaged.")


def test_weights_warn_once_of_an_adapter_and_never_of_a_damaged_model(
    known: Model, models_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = make(tmp_path / "a.gguf", width=32)  # for another model
    kind = kind_with(model="known", adapters=[str(adapter)])
    for _ in range(3):
        assert kind.weights(known)[0] == models_folder / known.file
    assert len(caplog.records) == 1
    caplog.clear()
    file = models_folder / known.file
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(NotReadyError, match="is damaged"):
        kind.load(known, Cancel(), adapters_enabled=True)
    assert not caplog.records


# A copy that is made beside the loaded file --------------------------------------------------------------------


@pytest.fixture
def own(models_folder: Path, tiny_model: Path) -> Path:
    """A model in the models folder."""
    own = models_folder / "own.gguf"
    own.write_bytes(tiny_model.read_bytes())
    return own


@pytest.fixture
def beside(own: Path, tmp_path: Path) -> LlamaKind:
    """A kind whose loads do not wait for the copy."""
    kind = kind_with(model=str(own), adapters=[str(make(tmp_path / "a.gguf"))], context_size=256)
    kind.waits_for_copy = False
    return kind


def texts_of(engine: Any) -> list[bytes]:
    prompt = engine.vocabulary.tokenize("def add(a, b):\n    return")
    return finish(engine, engine.start(EngineRequest(prompt, Sampling(max_tokens=8))))


def test_load_uses_the_file_until_the_copy_is_made_and_tested(
    beside: LlamaKind, own: Path, models_folder: Path, own_folder: Path
) -> None:
    model = find(str(own))
    engine = beside.load(model, Cancel(), adapters_enabled=True)
    assert copies(models_folder, own) == []
    assert beside.lacks_copy(model, adapters_enabled=True)
    assert not beside.lacks_copy(model, adapters_enabled=False)
    load = beside.prepare_copy(model, Cancel())
    (copy,) = copies(models_folder, own)
    assert not beside.lacks_copy(model, adapters_enabled=True)
    verdicts = (own_folder / "trials.json").read_text()
    assert load is not None
    other = load()
    assert other is not None
    assert other.identity != engine.identity
    assert other.identity.startswith(stamp(copy))
    assert all(map(texts_of, (engine, other)))
    engine.close()
    other.close()
    # The next start finds the copy and the result of its load test.
    again = beside.load(model, Cancel(), adapters_enabled=True)
    assert again.identity == other.identity
    assert (own_folder / "trials.json").read_text() == verdicts
    again.close()


def test_copy_is_used_at_the_next_start_without_memory_for_both(
    beside: LlamaKind, own: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find(str(own))
    beside.load(model, Cancel(), adapters_enabled=True).close()
    load = beside.prepare_copy(model, Cancel())
    assert load is not None
    with monkeypatch.context() as patch:
        patch.setattr(machine, "free_memory", lambda: 1000)
        assert load() is None
        assert beside.prepare_copy(model, Cancel()) is None
    (copy,) = copies(models_folder, own)
    engine = load()
    assert engine is not None
    engine.close()
    assert beside.served(model) == copy


def test_copy_respects_the_memory_limit_for_both(beside: LlamaKind, own: Path) -> None:
    model = find(str(own))
    _, plan = beside.plan(model, adapters_enabled=True)
    for share, loads in ((1.5, False), (2.5, True)):
        beside.settings.max_memory = int(share * plan.needs / 1e6)
        beside.load(model, Cancel(), adapters_enabled=True).close()
        assert (beside.prepare_copy(model, Cancel()) is not None) == loads


def test_copy_that_cannot_be_written_is_not_tried_again(
    beside: LlamaKind, own: Path, models_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (models_folder / COPIES).write_text("in the way")
    model = find(str(own))
    beside.load(model, Cancel(), adapters_enabled=True).close()
    assert beside.prepare_copy(model, Cancel()) is None
    assert not beside.lacks_copy(model, adapters_enabled=True)
    assert "The adapters are applied at run time, which is slower." in caplog.text
    beside.load(model, Cancel(), adapters_enabled=True).close()


@pytest.mark.skipif(os.name != "posix", reason="a shell script replaces the child process")
def test_copy_of_a_killed_process_is_made_after_the_next_load(
    beside: LlamaKind, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find(str(own))
    beside.load(model, Cancel(), adapters_enabled=True).close()
    with monkeypatch.context() as patch:
        play(tmp_path, patch, "kill -KILL $$")
        assert beside.prepare_copy(model, Cancel()) is None
    assert beside.lacks_copy(model, adapters_enabled=True)
    assert beside.prepare_copy(model, Cancel()) is not None


def test_load_uses_the_file_if_the_copy_is_refused(
    beside: LlamaKind, own: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find(str(own))
    tried: list[str] = []

    def refuse_copies(tested: Any, *_: Any, **__: Any) -> None:
        tried.append(tested.path)
        if COPIES in tested.path:
            raise ModelRefusedError("It crashed.")

    monkeypatch.setattr(load_test, "ensure_loads", refuse_copies)
    beside.load(model, Cancel(), adapters_enabled=True).close()
    assert beside.prepare_copy(model, Cancel()) is None
    (copy,) = copies(models_folder, own)
    assert tried == [str(own), str(copy)]
    started_again = kind_with(model=str(own), adapters=beside.settings.adapters, context_size=256)
    for _ in range(2):
        engine = started_again.load(model, Cancel(), adapters_enabled=True)
        assert engine.identity.startswith(stamp(own))
        engine.close()
    assert tried[2:] == [str(copy), str(own), str(own)]
