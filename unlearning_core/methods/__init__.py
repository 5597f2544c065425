"""What makes one model out of another."""
