"""What the model is told beside the lines around the cursor. Pure."""
