"""Combine frames into an animated PNG.

python scripts/moving_picture.py FRAMES.json OUT.png

FRAMES.json is in the folder of the frames: [["frame.png", milliseconds], …]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image, ImageChops
from reduce_colors import reduce_colors

MOST = 1_000_000  # bytes


def main() -> None:
    """Run."""
    listed, out = Path(sys.argv[1]), Path(sys.argv[2])
    frames: list[Image.Image] = []
    durations: list[int] = []
    for name, milliseconds in json.loads(listed.read_text("utf-8")):
        image = Image.open(listed.parent / name).convert("RGB")
        if frames and not ImageChops.difference(frames[-1], image).getbbox():
            durations[-1] += milliseconds
            continue
        frames.append(image)
        durations.append(milliseconds)
    # With one palette, colors do not flicker, and unchanged areas are not stored again.
    first, *others = reduce_colors(frames, 256)
    first.save(out, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)
    if (size := out.stat().st_size) > MOST:
        sys.exit(f"{out} has {size} bytes, more than {MOST}.")
    print(f"{out}: {len(frames)} frames, {sum(durations) / 1000:.1f} s, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
