"""The options of a training."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.settings.config import Turbopilot

ADAPTER_RATE, SCRATCH_RATE = 3e-4, 6e-3
KEPT = (".training", ".steady", ".rows", ".long")  # files next to the output to resume from
SHARE_OF_A_LANGUAGE = 0.1  # share of the minutes for fine-tuning to each language
_STRANGE = re.compile(r"[^\w+#-]+")


class TrainingOptions(argparse.Namespace):
    """The options of the command `train`."""

    output: Path

    def replace(self, **changed: Any) -> TrainingOptions:
        """Return a copy with changed options."""
        return TrainingOptions(**vars(self) | changed)

    def tune(self, language: str) -> TrainingOptions:
        """Return the options for fine-tuning the trained model to one language."""
        return self.replace(
            # Notebooks may name their languages freely.
            output=self.output.with_stem(f"{self.output.stem}-{_STRANGE.sub('-', language)}"),
            minutes=self.minutes * SHARE_OF_A_LANGUAGE,
            scratch=False,
            each_language=False,
        )

    def forget(self) -> None:
        """Delete the files of an earlier training."""
        for ending in KEPT:
            self.output.with_suffix(ending).unlink(missing_ok=True)


def changed(settings: Turbopilot, **traits: Any) -> Turbopilot:
    """Return a copy of the settings with changed traits."""
    return type(settings)(**settings.trait_values(config=True) | traits)
