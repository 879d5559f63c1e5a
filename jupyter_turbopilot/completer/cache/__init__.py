"""The completion cache and its persistent file."""
