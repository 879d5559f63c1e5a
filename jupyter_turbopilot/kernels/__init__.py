"""What runs beside the notebook: kernels are watched, and asked what they hold."""
