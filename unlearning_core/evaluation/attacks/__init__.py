"""Attacks: what somebody can do to a model, or ask of it, to have a forgotten concept back; one file each."""
