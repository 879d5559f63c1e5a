"""Tuning a model to notebooks, and training a small one: everything on this machine."""
