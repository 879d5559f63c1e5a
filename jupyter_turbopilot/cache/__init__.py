"""The completion cache, and the file that keeps it for the next process."""
