"""Suggestion outcomes, and the calibration of scores by them."""
