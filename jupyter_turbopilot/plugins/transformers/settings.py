"""The section of settings of the engine `transformers`."""

from __future__ import annotations

from traitlets import Bool, Enum, Unicode

from jupyter_turbopilot.settings.config import EngineSection


class TurbopilotTransformers(EngineSection):
    """The engine `transformers`: a checkpoint run by PyTorch."""

    device = Unicode(
        "cpu", help="The device to compute on: cpu, cuda, cuda:1, mps, or auto for the fastest one available."
    ).tag(config=True)
    dtype = Enum(
        ("auto", "float32", "bfloat16", "float16"),
        default_value="auto",
        help="The data type to compute with. auto: float32 on the CPU, the checkpoint's type on other "
        "devices.",
    ).tag(config=True)
    load_in_8bit = Bool(
        False, help="Quantize the weights to 8 bits while loading; needs the extra `bitsandbytes`."
    ).tag(config=True)
    load_in_4bit = Bool(
        False, help="Quantize the weights to 4 bits while loading; needs the extra `bitsandbytes`."
    ).tag(config=True)
    attention = Enum(
        ("auto", "sdpa", "eager", "flash_attention_2"),
        default_value="auto",
        help="The attention implementation. flash_attention_2 needs its own package and a GPU.",
    ).tag(config=True)
    offload = Bool(False, help="Run layers that do not fit on the GPU on the CPU; needs `accelerate`.").tag(
        config=True
    )
