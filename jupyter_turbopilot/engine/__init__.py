"""Engines, which generate text, and the worker thread that drives them."""
