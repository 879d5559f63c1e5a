"""One Turbopilot for many users: a service of a JupyterHub, and replicas under Ray Serve."""
