from __future__ import annotations

import ctypes

import gguf
import numpy as np
import pytest

from jupyter_turbopilot.models.ggml import (
    BITS,
    CACHE_TYPES,
    FILE_NUMBERS,
    FILE_TYPES,
    NEEDS_MATRIX,
    NUMBERS,
    OUTTYPES,
    TYPES,
    UNQUANTISED_FILES,
    interleave_halves,
    separate_halves,
    tensor_type,
)
from jupyter_turbopilot.settings.config import Turbopilot


@pytest.fixture(scope="module")
def lib() -> ctypes.CDLL:
    """The ggml library of the engine."""
    from llama_cpp._ggml import libggml

    libggml.ggml_type_size.restype = ctypes.c_size_t
    libggml.ggml_blck_size.restype = ctypes.c_int64
    libggml.ggml_type_name.restype = ctypes.c_char_p
    return libggml


@pytest.mark.parametrize("number", TYPES)
def test_tensor_types_match_the_engine(number: int, lib: ctypes.CDLL) -> None:
    known = TYPES[number]
    assert known.name.lower() == lib.ggml_type_name(number).decode().lower()
    assert (known.block, known.block_bytes) == (lib.ggml_blck_size(number), lib.ggml_type_size(number))
    assert known.size(4 * known.block) == 4 * known.block_bytes


def test_tensor_type_of_an_unknown_number_has_no_size() -> None:
    assert tensor_type(99) == ("type 99", 1, 0)
    assert tensor_type(99).size(1000) == 0


@pytest.mark.parametrize("name", FILE_NUMBERS)
def test_file_types_match_the_gguf_package(name: str) -> None:
    number = FILE_NUMBERS[name]
    theirs = gguf.LlamaFileType(number).name
    assert theirs.removeprefix("MOSTLY_").removeprefix("ALL_") == name == FILE_TYPES[number]


def test_unquantised_files_have_plain_types() -> None:
    assert {FILE_TYPES[number] for number in UNQUANTISED_FILES} == {"F32", "F16", "BF16"}
    assert not set(NEEDS_MATRIX) & set(FILE_NUMBERS)


def test_outtypes_are_known_types() -> None:
    assert all(name.upper() in NUMBERS and name.upper() in FILE_NUMBERS for name in OUTTYPES)
    assert set(Turbopilot.cache_type.values) == set(CACHE_TYPES)
    assert CACHE_TYPES == {"f16": 1.0, "q8_0": 34 / 64, "q4_0": 18 / 64}
    assert all(bits < 16 for kind, bits in BITS.items() if kind != "F32")


def test_separate_halves_undoes_interleave_halves() -> None:
    matrix = np.arange(24).reshape(12, 2)
    rows = interleave_halves(matrix, heads=2)
    assert rows[:6, 0].tolist() == [0, 6, 2, 8, 4, 10]
    assert (separate_halves(rows, heads=2) == matrix).all()
