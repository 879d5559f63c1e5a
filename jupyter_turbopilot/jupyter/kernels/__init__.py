"""Kernel context: watches running kernels and queries their names, types and columns."""
