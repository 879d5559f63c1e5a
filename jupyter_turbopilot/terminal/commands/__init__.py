"""The subcommands of `jupyter turbopilot`. They import heavy modules only when they run."""
