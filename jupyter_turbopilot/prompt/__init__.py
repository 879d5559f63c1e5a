"""Prompt construction: from text to token ids within a budget. Pure."""
