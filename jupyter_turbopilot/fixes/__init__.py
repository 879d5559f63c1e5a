"""Fixes after an error, checks before it, renames and repeated edits: without a model. Pure."""
