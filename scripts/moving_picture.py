"""Combine frames into an animated PNG.

python scripts/moving_picture.py FRAMES.json OUT.png

FRAMES.json is in the folder of the frames: [["frame.png", milliseconds], …]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image, ImageChops

COLORS = 64  # an editor has few colors; with fewer, the edges of letters look wrong
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
    # One palette for all frames: colors do not flicker, and unchanged areas are not stored again.
    sheet = Image.new(
        "RGB", (frames[0].width, sum(frame.height for frame in frames[:: max(1, len(frames) // 8)]))
    )
    for at, frame in enumerate(frames[:: max(1, len(frames) // 8)]):
        sheet.paste(frame, (0, at * frame.height))
    palette = sheet.quantize(COLORS, dither=Image.Dither.NONE)
    first, *others = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    first.save(out, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)
    if (size := out.stat().st_size) > MOST:
        sys.exit(f"{out} has {size} bytes, more than {MOST}.")
    print(f"{out}: {len(frames)} frames, {sum(durations) / 1000:.1f} s, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
