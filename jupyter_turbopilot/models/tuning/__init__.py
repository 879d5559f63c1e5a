"""LoRA adapters: which a model has, and how they are added to its weights."""
