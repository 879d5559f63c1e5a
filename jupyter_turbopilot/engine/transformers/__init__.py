"""A checkpoint in the format of Hugging Face, computed by PyTorch."""
