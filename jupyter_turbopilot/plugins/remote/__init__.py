"""The engine for a remote server: addresses, protocols, requests, answers and errors."""
