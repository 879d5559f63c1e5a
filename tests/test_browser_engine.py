"""The browser engine: its golden values are llama.cpp's, and its binary is compiled from the current source."""

import hashlib
import json
import runpy
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from . import character_model

WASM = Path(__file__).parent.parent / "labextension" / "wasm"
BUILD = runpy.run_path(str(WASM / "build.py"))
GOLDEN = json.loads(character_model.LOGITS.read_text())


def test_golden_logits_are_those_of_llama_cpp_with_the_same_weights() -> None:
    now = character_model.golden()
    assert [case["ids"] for case in now] == [case["ids"] for case in GOLDEN]
    for case, known in zip(now, GOLDEN, strict=True):
        assert np.abs(np.subtract(case["logits"], known["logits"])).max() < 1e-3


def test_the_binary_has_the_digest_that_stands_beside_it() -> None:
    digest = hashlib.sha256((WASM / "engine.wasm").read_bytes()).hexdigest()
    assert (WASM / "engine.wasm.sha256").read_text().split() == [digest, "engine.wasm"]


def _has_compiler() -> bool:
    try:
        return version("ziglang") == BUILD["COMPILER"]
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not _has_compiler(), reason="the compiler is not installed")
def test_the_source_compiles_to_the_binary_byte_by_byte(tmp_path: Path) -> None:
    BUILD["build"](tmp_path / "engine.wasm")
    assert (tmp_path / "engine.wasm").read_bytes() == (WASM / "engine.wasm").read_bytes()
