from pathlib import Path

import pytest

from jupyter_turbopilot.plugins.convert.quantize import Order, kinds, quantize
from jupyter_turbopilot.protocol.errors import ConversionError

from ...engine.llama.children import play


def order(tmp_path: Path) -> Order:
    return Order(tmp_path / "whole.gguf", tmp_path / "small.gguf", "Q8_0", number=7, again=False)


def test_kinds_have_the_common_names() -> None:
    assert {"Q8_0", "Q4_K_M", "F16"} <= kinds().keys()
    assert not any(name.startswith("LLAMA") for name in kinds())
    assert "NVFP4" not in kinds()  # llama.cpp can only read it


def test_quantize_reports_progress_and_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path, monkeypatch, 'echo "1/2 a.weight"; echo other; echo "2/2 b.weight"; printf new > "$5"')
    progress: list[tuple[str, int, int]] = []
    target = quantize(order(tmp_path), 1, lambda *step: progress.append(step))
    assert progress == [("a.weight", 1, 2), ("b.weight", 2, 2)]
    assert target.read_text() == "new"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo first >&2; echo 'no such tensor' >&2; exit 1", "Q8_0: no such tensor$"),
        ("exit 4", "exit status 4$"),
    ],
)
def test_quantize_reports_a_failed_child_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    play(tmp_path, monkeypatch, f'printf half > "$5"; {script}')
    with pytest.raises(ConversionError, match=reason):
        quantize(order(tmp_path), 1)
    assert [path.name for path in tmp_path.glob("*small*")] == []


def test_quantize_ends_the_child_if_the_callback_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path, monkeypatch, 'echo "1/2 a.weight"; exec sleep 60')

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(order(tmp_path), 1, stop)
    assert not (tmp_path / "small.gguf").exists()
