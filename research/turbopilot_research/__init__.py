"""The commands `jupyter turbopilot eval` and `jupyter turbopilot train`."""
