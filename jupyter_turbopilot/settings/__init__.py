"""The settings, and where completion is allowed."""
