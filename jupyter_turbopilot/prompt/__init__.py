"""From text to token ids within a budget. Pure."""
