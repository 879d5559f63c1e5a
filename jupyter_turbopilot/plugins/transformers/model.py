"""Loads a checkpoint as a PyTorch module, from local files and without running code in them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
import transformers
from huggingface_hub import constants
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from jupyter_turbopilot.protocol.errors import ModelRefusedError
from jupyter_turbopilot.util.failures import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyter_turbopilot.plugins.transformers.checkpoint import Loading


def load_model(folder: Path, loading: Loading) -> Any:
    """Load the weights; raise ModelRefusedError if that fails."""
    arguments = {
        "dtype": getattr(torch, loading.dtype),
        "local_files_only": True,
        "trust_remote_code": False,
        "weights_only": True,  # a pickle must not run code
        "output_loading_info": True,
        **_placement(folder, loading),
    }
    try:
        with _quiet(), _offline():
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, **arguments)
            model, report = loaded
            if "device_map" not in arguments:
                model = model.to(loading.device)
    except (MemoryError, torch.OutOfMemoryError):
        raise ModelRefusedError(
            f"There is not enough memory for {folder.name}. Close other programs, or choose a smaller model.",
            code="memory",
        ) from None
    except (*DAMAGED, SafetensorError, UnpicklingError) as error:
        reason = str(error).strip().split("\n")[0][:300]
        refused = ModelRefusedError(
            f"transformers could not load {folder.name} ({type(error).__name__}). Download it again, or "
            "choose another checkpoint."
        )
        refused.hint = reason
        raise refused from None
    if missing := sorted(report.get("missing_keys") or ()):
        # transformers would initialize them randomly.
        raise ModelRefusedError(
            f"{folder.name} lacks weights, such as {missing[0]}. Download the complete checkpoint."
        )
    return model.eval()


def _placement(folder: Path, loading: Loading) -> dict[str, Any]:
    """Return the arguments for the device and the quantization of the weights."""
    arguments: dict[str, Any] = {}
    if loading.bits:
        arguments["quantization_config"] = quantization(loading)
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if loading.bits or getattr(config, "quantization_config", None):
        arguments["device_map"] = {"": loading.device}  # quantized weights cannot be moved afterwards
    return arguments


def quantization(loading: Loading) -> Any:
    """Return the options for bitsandbytes."""
    if loading.bits == 8:  # noqa: PLR2004 - bits
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=getattr(torch, loading.dtype),
    )


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the libraries from downloading anything, such as kernels, which are native code."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries from writing progress and advice into the server's log."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # It would log a warning for each matrix and token.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
