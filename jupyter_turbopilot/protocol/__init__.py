"""Requests, replies, errors, and the contract with clients."""
