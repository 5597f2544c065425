"""Runs: what they store, how a run is brought up to date."""
