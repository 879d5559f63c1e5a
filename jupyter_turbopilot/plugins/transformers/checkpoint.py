"""Checks whether a checkpoint can be loaded, and estimates its memory. Importing it imports no PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import DEFAULT_CONTEXT, Limits, LoadPlan, Sizes, fit
from jupyter_turbopilot.models.checkpoint import find_tensors
from jupyter_turbopilot.models.checkpoint_config import Config, read_json
from jupyter_turbopilot.models.gguf import stamp
from jupyter_turbopilot.plugins.transformers.packages import import_package, require
from jupyter_turbopilot.plugins.transformers.vocabulary import read_tokens
from jupyter_turbopilot.protocol.errors import ConversionError, ModelRefusedError, NotReadyError
from jupyter_turbopilot.util.failures import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
COMPUTE_BYTES = 128 * 1024**2  # PyTorch's working memory, an estimate for small models
TOKEN_BYTES = 768  # per token of the vocabulary: rows of logits, their copies, the byte table
_QUANTIZED = {"gptq": ("gptqmodel", "optimum"), "bitsandbytes": ("accelerate", "bitsandbytes")}


@dataclass(frozen=True)
class TransformersOptions(Limits):
    """The settings of the engine."""

    device: str = "cpu"
    bits: int = 0  # to which the weights are quantized during the load; 0: not quantized


PLAIN = TransformersOptions()


@dataclass(frozen=True, kw_only=True)
class Loading(LoadPlan):
    """The settings for loading a checkpoint."""

    device: str
    dtype: str
    bits: int  # as in `TransformersOptions`
    identity: str  # changes with everything that the answers depend on


def check(folder: Path, options: TransformersOptions = PLAIN) -> Loading:
    """Return how a checkpoint will be loaded; raise ModelRefusedError if it cannot be."""
    try:
        return _check(folder, options)
    except ConversionError as error:
        raise ModelRefusedError(error.message) from None


def _check(folder: Path, options: TransformersOptions) -> Loading:
    config = read_json(folder / "config.json")
    require("tokenizers", "torch", "transformers")
    read_tokens(folder)
    _check_architecture(folder, config)
    bits, method = options.bits, _quantization(config)
    _check_quantization(folder, bits, method)
    device = _device(options.device)
    dtype = _dtype(config, device)
    sizes = sizes_of(folder, config, dtype, bits, quantized=bool(method))
    plan = fit(sizes, folder.name, options, _free(device))
    settings = f"{device}|{dtype}|{bits}|{plan.context_size}"
    versions = (str(import_package(package).__version__) for package in ("transformers", "torch"))
    identity = "|".join((stamp(folder), settings, *versions))
    return Loading(**vars(plan), device=device, dtype=dtype, bits=bits, identity=identity)


def _check_architecture(folder: Path, config: dict[str, Any]) -> None:
    kinds = import_package("transformers.models.auto.modeling_auto").MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if str(config.get("model_type")) in kinds:
        return
    if config.get("auto_map"):
        raise ModelRefusedError(
            f"{folder.name} needs its own program code, which Turbopilot never runs. Choose a checkpoint "
            "that transformers supports."
        )
    raise ModelRefusedError(
        f"transformers cannot generate text with the model type {str(config.get('model_type'))[:60]!r}. "
        "Choose another checkpoint, or update transformers."
    )


def _quantization(config: dict[str, Any]) -> str:
    """Return the quantization method of a checkpoint, or an empty string."""
    quantized = config.get("quantization_config")
    return str(quantized.get("quant_method") or "bitsandbytes") if isinstance(quantized, dict) else ""


def _check_quantization(folder: Path, bits: int, method: str) -> None:
    if bits:
        require(*_QUANTIZED["bitsandbytes"])
    if not method:
        return
    if method not in _QUANTIZED:
        covered = " and ".join(_QUANTIZED)
        raise ModelRefusedError(
            f"{folder.name} is quantized with {method[:40]!r}, but only {covered} are supported. Choose "
            "another checkpoint."
        )
    if bits:
        raise ModelRefusedError(f"{folder.name} is quantized already. Remove c.TurbopilotTransformers.bits.")
    require(*_QUANTIZED[method])


def _device(wanted: str) -> str:
    """Return the device to compute on; raise NotReadyError if it is missing."""
    torch = import_package("torch")
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    here = ["cpu", *(f"cuda:{number}" for number in range(cards))]
    here += ["mps"] if torch.backends.mps.is_available() else []
    if wanted == "auto":
        return here[1] if len(here) > 1 else here[0]
    device = "cuda:0" if wanted == "cuda" else wanted
    if device not in here:
        raise NotReadyError(
            f"PyTorch finds no device {wanted[:40]!r}, only {', '.join(here)}. Set "
            "c.TurbopilotTransformers.device to one of these, or install the PyTorch build for your device.",
            code="engine_missing",
        )
    return device


def _dtype(config: dict[str, Any], device: str) -> str:
    """Return the data type to compute with. CPUs are slow with 16-bit types."""
    stored = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    return "float32" if device == "cpu" or stored not in WIDTHS else stored


def _free(device: str) -> int:
    """Return the free memory of the device."""
    if not device.startswith("cuda"):
        return machine.free_memory()
    return int(import_package("torch").cuda.mem_get_info(device)[0])


def sizes_of(folder: Path, config: dict[str, Any], dtype: str, bits: int, *, quantized: bool) -> Sizes:
    """Estimate the memory for a checkpoint; `config` is its config.json."""
    return Sizes(
        trained=_trained(config),
        weights=_weight_bytes(folder, WIDTHS[dtype], bits, quantized=quantized),
        token=_token_bytes(folder, WIDTHS[dtype]),
        compute=COMPUTE_BYTES + TOKEN_BYTES * Config(config | _text(config)).whole("vocab_size"),
    )


def _weight_bytes(folder: Path, width: int, bits: int, *, quantized: bool) -> int:
    """Return the size of the weights in memory."""
    tensors = find_tensors(folder)
    if quantized:  # the files also contain scales that are not listed
        return sum(path.stat().st_size for path in {tensor.path for tensor in tensors.values()})
    return sum(
        math.prod(tensor.shape) * bits // 8
        if bits and len(tensor.shape) == 2 and not _is_table(name)  # noqa: PLR2004 - a matrix
        else math.prod(tensor.shape) * width
        for name, tensor in tensors.items()
    )


def _is_table(name: str) -> bool:
    """Return whether a tensor has a row for each token or position. These are not quantized."""
    return any(word in name for word in ("embed", "wte", "wpe", "lm_head"))


def _text(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of the text part of a multimodal model."""
    text = config.get("text_config")
    return text if isinstance(text, dict) else {}


def _read_config(folder: Path) -> Any:
    """Read config.json with transformers, which knows the field names of each model family."""
    transformers = import_package("transformers")
    from huggingface_hub.errors import StrictDataclassError

    try:
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        return config.get_text_config(decoder=True)
    except (*DAMAGED, StrictDataclassError) as error:
        raise ModelRefusedError(
            f"config.json cannot be used ({type(error).__name__}). Download the checkpoint again."
        ) from None


def _numbers(config: Any, *names: str) -> Iterator[int]:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            yield value


def _token_bytes(folder: Path, width: int) -> int:
    """Return the maximum size of the keys and values of one token."""
    config = _read_config(folder)
    heads = next(_numbers(config, "num_attention_heads"), 1)
    shared = 1 if getattr(config, "multi_query", False) else heads
    kept = next(_numbers(config, "num_key_value_heads"), shared)
    size = next(_numbers(config, "head_dim"), next(_numbers(config, "hidden_size"), 1) // heads)
    return 2 * next(_numbers(config, "num_hidden_layers"), 1) * kept * size * width


def _trained(config: dict[str, Any]) -> int:
    """Return the context size in tokens that a model was trained for."""
    values = config | _text(config)
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"):
        if isinstance(values.get(name), int):
            return Config(values).whole(name)
    return DEFAULT_CONTEXT
