import ctypes

import gguf
import numpy as np
import pytest

from jupyter_turbopilot.models.ggml import FILE_NUMBERS, FILE_TYPES, TYPES, interleave_halves


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


@pytest.mark.parametrize("name", FILE_NUMBERS)
def test_file_types_match_the_gguf_package(name: str) -> None:
    number = FILE_NUMBERS[name]
    theirs = gguf.LlamaFileType(number).name
    assert theirs.removeprefix("MOSTLY_").removeprefix("ALL_") == name == FILE_TYPES[number]


def test_interleave_halves_pairs_neighbours() -> None:
    matrix = np.arange(24).reshape(12, 2)
    rows = interleave_halves(matrix, heads=2)
    assert rows[:6, 0].tolist() == [0, 6, 2, 8, 4, 10]
