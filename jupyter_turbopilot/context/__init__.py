"""What the model reads besides the lines around the cursor. Pure."""
