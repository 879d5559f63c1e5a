"""Evaluate suggestions by replaying notebooks through the completer."""
