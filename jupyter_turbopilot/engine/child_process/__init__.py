"""An engine in a child process, so that a crash in native code costs one suggestion and not the server."""
