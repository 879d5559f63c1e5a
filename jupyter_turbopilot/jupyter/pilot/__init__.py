"""Composition of models, worker and completer."""
