"""A server elsewhere that writes: addresses, requests, answers, and what may go wrong between."""
