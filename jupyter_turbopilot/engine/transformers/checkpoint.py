"""What can be said of a checkpoint before it is loaded: whether it can be, and what it will take."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import Limits, fit
from jupyter_turbopilot.engine.transformers import tokenizer_file
from jupyter_turbopilot.engine.transformers.packages import import_package, require
from jupyter_turbopilot.engine.transformers.sizes import WIDTHS, sizes_of
from jupyter_turbopilot.errors import ConversionError, ModelRefusedError, NotReadyError
from jupyter_turbopilot.models.convert.config import read_json
from jupyter_turbopilot.models.gguf import stamp

if TYPE_CHECKING:
    from pathlib import Path

_QUANTIZED = {"gptq": ("gptqmodel", "optimum"), "bitsandbytes": ("accelerate", "bitsandbytes")}


@dataclass(frozen=True)
class TransformersOptions(Limits):
    """What the settings ask for."""

    device: str = "cpu"
    dtype: str = "auto"
    load_in_8bit: bool = False
    load_in_4bit: bool = False
    attention: str = "auto"
    offload: bool = False


PLAIN = TransformersOptions()


@dataclass(frozen=True)
class Loading:
    """How a checkpoint will be loaded."""

    context_size: int
    threads: int
    needs: int
    cells: int
    parked: int
    device: str
    dtype: str
    bits: int  # the weights are quantized to while they are loaded; 0: they are not
    attention: str
    offload: bool
    identity: str  # changes with whatever the answers depend on


def check(folder: Path, options: TransformersOptions = PLAIN) -> Loading:
    """Say how a checkpoint will be loaded, or refuse it in words."""
    try:
        return _check(folder, options)
    except ConversionError as error:
        raise ModelRefusedError(error.message) from None


def _check(folder: Path, options: TransformersOptions) -> Loading:
    said = read_json(folder / "config.json")
    require("tokenizers", "torch", "transformers")
    tokenizer_file.read(folder)
    _check_architecture(folder, said)
    bits = 8 * options.load_in_8bit + 4 * options.load_in_4bit
    method = _quantization(said)
    _check_quantization(folder, bits, method)
    device = _device(options.device)
    dtype = _dtype(said, options.dtype, device)
    _check_attention(options.attention, device)
    offload = options.offload and device not in {"cpu", "mps"}
    if offload:
        require("accelerate")
    sizes = sizes_of(folder, said, dtype, bits, quantized=bool(method))
    plan = fit(sizes, folder.name, options, _free(device, offload=offload))
    settings = f"{device}|{dtype}|{bits}|{options.attention}|{offload}|{plan.context_size}"
    return Loading(
        plan.context_size,
        plan.threads,
        plan.needs,
        plan.cells,
        plan.parked,
        device,
        dtype,
        bits,
        options.attention,
        offload,
        identity="|".join((stamp(folder), settings, *map(_version, ("transformers", "torch")))),
    )


def _check_attention(wanted: str, device: str) -> None:
    if wanted == "flash_attention_2" and (device == "cpu" or importlib.util.find_spec("flash_attn") is None):
        raise NotReadyError(
            "Flash Attention 2 needs the package flash-attn and a graphics card. Install it and set "
            'c.TurbopilotTransformers.device, or set c.TurbopilotTransformers.attention = "auto".',
            code="engine_missing",
        )


def _version(package: str) -> str:
    return str(import_package(package).__version__)


def _check_architecture(folder: Path, said: dict[str, Any]) -> None:
    kinds = import_package("transformers.models.auto.modeling_auto").MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if str(said.get("model_type")) in kinds:
        return
    if said.get("auto_map"):
        raise ModelRefusedError(
            f"{folder.name} needs program code of its own, which is never run. Choose a checkpoint that "
            "transformers knows."
        )
    raise ModelRefusedError(
        f"transformers has no model that writes text of the kind {str(said.get('model_type'))[:60]!r}. "
        "Choose another checkpoint, or a newer version of transformers."
    )


def _quantization(said: dict[str, Any]) -> str:
    """Return how the weights of a checkpoint are quantized; nothing if they are not."""
    quantized = said.get("quantization_config")
    return str(quantized.get("quant_method") or "bitsandbytes") if isinstance(quantized, dict) else ""


def _check_quantization(folder: Path, bits: int, method: str) -> None:
    if bits not in {0, 4, 8}:
        raise ModelRefusedError("Set load_in_8bit or load_in_4bit of c.TurbopilotTransformers, not both.")
    if bits:
        require(*_QUANTIZED["bitsandbytes"])
    if not method:
        return
    if method not in _QUANTIZED:
        covered = " and ".join(_QUANTIZED)
        raise ModelRefusedError(
            f"{folder.name} is quantized by {method[:40]!r}; {covered} are supported. Choose another one."
        )
    if bits:
        raise ModelRefusedError(
            f"{folder.name} is quantized already. Leave load_in_{bits}bit of c.TurbopilotTransformers out."
        )
    require(*_QUANTIZED[method])


def _device(wanted: str) -> str:
    """Return the device to compute on; one that is not there is refused."""
    torch = import_package("torch")
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    here = ["cpu", *(f"cuda:{number}" for number in range(cards))]
    here += ["mps"] if torch.backends.mps.is_available() else []
    if wanted == "auto":
        return here[1] if len(here) > 1 else here[0]
    device = "cuda:0" if wanted == "cuda" else wanted
    if device not in here:
        raise NotReadyError(
            f"There is no device {wanted[:40]!r} here, only {', '.join(here)}. Set "
            "c.TurbopilotTransformers.device to one of these, or install the PyTorch for yours.",
            code="engine_missing",
        )
    return device


def _dtype(said: dict[str, Any], wanted: str, device: str) -> str:
    """Return the type of numbers to compute with: a processor is slow with short ones."""
    if wanted != "auto":
        return wanted
    stored = str(said.get("dtype") or said.get("torch_dtype") or "").removeprefix("torch.")
    return "float32" if device == "cpu" or stored not in WIDTHS else stored


def _free(device: str, *, offload: bool) -> int:
    """Return the memory that is free where the model goes."""
    if not device.startswith("cuda"):
        return machine.free_memory()
    on_card = int(import_package("torch").cuda.mem_get_info(device)[0])
    return on_card + machine.free_memory() if offload else on_card
