"""An example of plugins for Jupyter Turbopilot: a fix for an error, a listener and a command."""
