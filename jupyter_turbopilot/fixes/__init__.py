"""Fixes after an error, and renames after an edit: deterministic, without a model. Pure."""
