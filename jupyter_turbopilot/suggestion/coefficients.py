"""The gate's coefficients and thresholds, written by `scripts/fit_gate.py`."""

from __future__ import annotations

COEFFICIENTS = {
    "bias": -1.2031,
    "sum": 0.447,
    "odds": 1.0414,
    "worst odds": -0.9845,
    "worst": 0.548,
    "first": -0.2483,
    "last": 0.1976,
    "tokens": -0.2338,
    "length": 1.1932,
    "whole": 1.0353,
    "whole sum": 0.2129,
    "known": -0.5553,
    "unknown": -0.4925,
    "rest": 0.0,
    "further": -3.9173,
    "empty line": -0.2584,
    "after dot": -0.2834,
    "in word": 0.036,
    "in brackets": 0.159,
    "after =": 0.4161,
    "in string": 0.2961,
    "comment": 0.6079,
    "again": 0.1876,
    "known sum": 0.4686,
}
THRESHOLDS = {
    "always": 0.0,
    "eager": 0.05,
    "balanced": 0.6,
    "quiet": 0.8,
}
