"""The HTTP edge: Turbopilot's own routes, and one table of all."""
