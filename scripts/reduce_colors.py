"""Reduce pictures to the 128 colors that are most frequent in them; vivid colors of small icons count more.

python scripts/reduce_colors.py PICTURE…

Areas of one color stay exactly as they are, which Pillow's `quantize` does not guarantee.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image


def main() -> None:
    """Run."""
    for name in sys.argv[1:]:
        image = Image.open(name).convert("RGB")
        packed = np.asarray(image, np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
        values, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
        colors = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1)
        weights = counts * (16 + np.ptp(colors, axis=-1))
        kept = colors[np.argsort(-weights, kind="stable")[:128]]
        nearest = ((colors[:, None] - kept) ** 2).sum(axis=-1).argmin(axis=1).astype(np.uint8)
        reduced = Image.frombytes("P", image.size, nearest[places].tobytes())
        reduced.putpalette(kept.astype(np.uint8).tobytes())
        reduced.save(name, optimize=True)


if __name__ == "__main__":
    main()
