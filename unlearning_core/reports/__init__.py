"""What a run came to, for people: terminal, HTML, CSV, verdict."""
