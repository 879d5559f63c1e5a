"""Convert checkpoints in Hugging Face's layout to GGUF files, and quantise GGUF files."""
