"""`jupyter turbopilot models …`: list, download, remove, verify, describe."""
