"""Generates a function with the helper functions that it calls."""

ROUTES = {"helpers": "jupyter_turbopilot.plugins.functions.route:HelpersRoute"}
