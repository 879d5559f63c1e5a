"""Write a recipe as a GGUF file, tensor by tensor and atomically."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.models.checkpoint import dtype_of
from jupyter_turbopilot.models.ggml import FILE_NUMBERS, NUMBERS, Q8_0, TYPES
from jupyter_turbopilot.protocol.errors import ConversionError
from jupyter_turbopilot.util.files import need_room, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.models.checkpoint import Array
    from jupyter_turbopilot.plugins.convert.recipe import Recipe, TargetTensor
    from jupyter_turbopilot.plugins.convert.tokenizer import Vocabulary

_CHUNK = 4 * 1024 * 1024  # elements converted at a time
_PLAIN = {"f32": np.float32, "f16": np.float16}  # the other types are stored as bytes in numpy
_PRECISE = ("position_embd.weight",)  # read one row at a time, so its size does not matter
_SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}


def write(
    recipe: Recipe,
    vocabulary: Vocabulary,
    target: Path,
    outtype: str,
    name: str,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Path:
    """Write the GGUF file atomically."""
    import gguf

    kinds = {tensor.name: kind_of(tensor, outtype) for tensor in recipe.tensors}
    total = sum(_bytes(tensor, kinds[tensor.name]) for tensor in recipe.tensors)
    need_room(target, total, ConversionError)
    with write_atomically(target, ConversionError) as partial:
        out = gguf.GGUFWriter(partial, recipe.architecture)
        try:
            _describe(out, recipe, vocabulary, name, outtype)
            for tensor in recipe.tensors:
                kind = kinds[tensor.name]
                stored = _stored_shape(tensor.shape, kind)
                out.add_tensor_info(
                    tensor.name,
                    stored,
                    _dtype(kind),
                    _bytes(tensor, kind),
                    None if kind in _PLAIN else gguf.GGMLQuantizationType(NUMBERS[kind.upper()]),
                )
            out.write_header_to_file()
            out.write_kv_data_to_file()
            out.write_ti_data_to_file()
            done = 0
            for tensor in recipe.tensors:
                progress(tensor.name, done, total)
                out.write_tensor_data(_converted(tensor, kinds[tensor.name]))
                done += _bytes(tensor, kinds[tensor.name])
            progress("", total, total)
            out.flush()
        finally:
            out.close()
    return target


def kind_of(tensor: TargetTensor, outtype: str) -> str:
    """Return the storage type of a tensor; norms and biases keep full precision."""
    if len(tensor.shape) == 1 or tensor.name in _PRECISE:
        return "f32"
    if outtype == "q8_0" and tensor.shape[-1] % TYPES[Q8_0].block:
        return "f16"
    return outtype


def _dtype(kind: str) -> np.dtype[Any]:
    return np.dtype(_PLAIN.get(kind, np.uint8))


def _size(elements: int, kind: str) -> int:
    return TYPES[NUMBERS[kind.upper()]].size(elements)


def _stored_shape(shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    """Return the stored shape, in bytes for packed rows."""
    return shape if kind in _PLAIN else (*shape[:-1], _size(shape[-1], kind))


def _bytes(tensor: TargetTensor, kind: str) -> int:
    return _size(prod(tensor.shape), kind)


def _converted(tensor: TargetTensor, kind: str) -> Array:
    """Compute and convert a tensor, a few rows at a time to save memory."""
    source = tensor.read()
    if source.shape != tensor.shape:
        raise ConversionError(f"{tensor.name} has the shape {list(source.shape)}, not {list(tensor.shape)}.")
    rows = source.reshape(-1, source.shape[-1])
    stored = _stored_shape(rows.shape, kind)
    result = np.empty(stored, _dtype(kind))
    step = max(1, _CHUNK // rows.shape[1])
    for start in range(0, rows.shape[0], step):
        part = np.ascontiguousarray(rows[start : start + step]).astype(np.float32)
        if not np.isfinite(part).all():
            raise ConversionError(f"{tensor.name} contains NaN or infinity: the weights are damaged.")
        result[start : start + step] = _stored(part, kind, tensor.name)
    return result.reshape(_stored_shape(tensor.shape, kind))


def _stored(part: Array, kind: str, name: str) -> Array:
    if kind == "f32":
        return part
    if kind == "f16":
        if np.abs(part).max(initial=0) > np.finfo(np.float16).max:
            raise ConversionError(f"{name} contains numbers too large for f16. Use --outtype bf16 or f32.")
        return part.astype(np.float16)
    if kind == "bf16":
        whole: Array = part.astype(dtype_of("BF16")).view(np.uint8)
        return whole
    import gguf

    packed: Array = gguf.quantize(part, gguf.GGMLQuantizationType.Q8_0)
    return packed


def _describe(out: Any, recipe: Recipe, vocabulary: Vocabulary, name: str, outtype: str) -> None:
    out.add_name(name)
    out.add_file_type(FILE_NUMBERS[outtype.upper()])
    out.add_quantization_version(2)
    for key, value in recipe.values.items():
        _add(out, f"{recipe.architecture}.{key}", value)
    out.add_tokenizer_model(vocabulary.kind)
    out.add_tokenizer_pre(vocabulary.cut)
    out.add_token_list(vocabulary.tokens)
    out.add_token_types(vocabulary.types)
    if vocabulary.scores:
        out.add_token_scores(vocabulary.scores)
    if vocabulary.kind == "gpt2":
        # llama.cpp requires the list: write one merge that cannot occur if it is empty.
        out.add_token_merges(vocabulary.merges or ["\ue000 \ue001"])
    for short, number in vocabulary.special.items():
        _add(out, f"tokenizer.ggml.{_SPECIAL[short]}_token_id", number)
    out.add_add_bos_token(vocabulary.add_bos)
    if vocabulary.kind == "llama":
        out.add_add_space_prefix(vocabulary.add_space)


def _add(out: Any, key: str, value: float | bool | str) -> None:
    if isinstance(value, bool):
        out.add_bool(key, value)
    elif isinstance(value, int):
        out.add_uint32(key, value)
    elif isinstance(value, float):
        out.add_float32(key, value)
    else:
        out.add_string(key, value)
