"""The engine for checkpoints in Hugging Face's format, which PyTorch runs."""
