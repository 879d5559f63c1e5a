"""LoRA adapters: selection, validation and merging into model weights."""
