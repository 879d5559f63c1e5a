"""Puts models, worker and completer together."""
