"""Runs an engine in a child process, so that a crash in native code does not end the server."""
