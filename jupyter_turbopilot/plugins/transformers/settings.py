"""The section of settings of the engine `transformers`."""

from __future__ import annotations

from traitlets import Enum, Unicode

from jupyter_turbopilot.settings.config import EngineSection


class TurbopilotTransformers(EngineSection):
    """The engine `transformers`: a checkpoint run by PyTorch."""

    device = Unicode(
        "cpu", help="The device to compute on: cpu, cuda, cuda:1, mps, or auto for the fastest one available."
    ).tag(config=True)
    bits = Enum(
        (0, 8, 4),
        default_value=0,
        help="Quantize the weights to 8 or 4 bits while loading; needs the extra `bitsandbytes`. 0: do not.",
    ).tag(config=True)
