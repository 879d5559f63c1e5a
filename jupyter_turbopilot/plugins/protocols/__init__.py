"""Routes for clients of other protocols."""
