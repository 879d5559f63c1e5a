"""The section of settings of the engine `transformers`."""

from __future__ import annotations

from traitlets import Bool, Unicode

from jupyter_turbopilot.settings.config import EngineSection


class TurbopilotTransformers(EngineSection):
    """The engine `transformers`: a checkpoint run by PyTorch."""

    device = Unicode(
        "cpu", help="The device to compute on: cpu, cuda, cuda:1, mps, or auto for the fastest one available."
    ).tag(config=True)
    load_in_8bit = Bool(
        False, help="Quantize the weights to 8 bits while loading; needs the extra `bitsandbytes`."
    ).tag(config=True)
    load_in_4bit = Bool(
        False, help="Quantize the weights to 4 bits while loading; needs the extra `bitsandbytes`."
    ).tag(config=True)
