"""Methods: what makes one model out of another."""
