"""How many tokens of prompts are computed at a time."""

from __future__ import annotations

# Prompts are read in pieces, so that a short prompt does not wait for a whole long one.
CHUNK = 64
# Larger pieces are read faster, but whoever comes waits longer. So the size of a piece grows with how many
# prompts of more than one piece there are, up to so many times: behind several, a piece is soon over.
PIECES = 4
