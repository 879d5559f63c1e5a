"""The options of a training."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.settings.config import Turbopilot

ADAPTER_RATE, SCRATCH_RATE = 3e-4, 6e-3
KEPT = (".training", ".steady", ".rows", ".long")  # files next to the output to resume from
SHARE_OF_A_LANGUAGE = 0.1  # share of the minutes for fine-tuning to each language
_STRANGE = re.compile(r"[^\w+#-]+")


@dataclass(frozen=True)
class TrainingOptions:
    """The data, method and output of a training."""

    paths: list[Path]
    output: Path
    minutes: float
    language: list[str]  # empty: all languages
    rank: int
    rate: float | None  # None: the default of the method
    cells: int  # per step; 0: the default of the device
    context: int  # tokens before the cursor
    held_out: float
    positions: int  # positions to test; 0: no test
    plain: bool
    fresh: bool
    whole: bool
    scratch: bool
    width: int
    layers: int
    heads: int
    length: int
    each_language: bool

    def tune(self, language: str) -> TrainingOptions:
        """Return the options for fine-tuning the trained model to one language."""
        return replace(
            self,
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
