"""What code says, whoever asks: its names, calls, columns and syntax. Pure."""
