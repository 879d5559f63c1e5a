"""Execution of generated programs, with limits against accidents. This is not a sandbox."""
