"""Retraining that keeps cut neurons cut, in a process of its own."""
