"""Reads code: its names, calls, columns and syntax. Pure."""
