"""Train LoRA adapters and small models on the user's own notebooks, locally."""
