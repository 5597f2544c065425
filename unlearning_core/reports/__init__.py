"""What a run came to, for people: terminal, HTML, CSV, findings in words."""
