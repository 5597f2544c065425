"""Child processes: launched, watched, stopped and queued, in one place."""
