"""Reduce pictures to the 128 colors that are most frequent in them; vivid colors of small icons count more.

python scripts/reduce_colors.py PICTURE…

Areas of one color stay exactly as they are, which Pillow's `quantize` does not guarantee.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

COLORS = 128  # an editor has few colors; with fewer, small icons and the edges of letters look wrong
_ALL = 1 << 24


def reduce_colors(images: Sequence[Image.Image], number: int = COLORS) -> list[Image.Image]:
    """Return RGB images with one palette for all, of at most 256 colors."""
    counts: Counter[Any] = Counter()
    for image in images:
        counts.update({color: count for count, color in image.getcolors(_ALL) or ()})
    colors = np.array([*counts], np.int32)
    weights = np.array([*counts.values()]) * (16 + np.ptp(colors, axis=-1))
    kept = colors[np.argsort(-weights, kind="stable")[:number]]
    nearest = np.zeros(_ALL, np.uint8)
    nearest[_packed(colors)] = ((colors[:, None] - kept) ** 2).sum(axis=-1).argmin(axis=1)
    reduced = []
    for image in images:
        pixels = nearest[_packed(np.asarray(image, np.int32))]
        reduced.append(Image.frombytes("P", image.size, pixels.tobytes()))
        reduced[-1].putpalette(kept.astype(np.uint8).tobytes())
    return reduced


def _packed(colors: Any) -> Any:
    return colors @ np.array([1 << 16, 1 << 8, 1], np.int32)


def main() -> None:
    """Run."""
    for name in sys.argv[1:]:
        reduce_colors([Image.open(name).convert("RGB")])[0].save(name, optimize=True)


if __name__ == "__main__":
    main()
