"""From concept words to labelled text, and text filtered of the concept."""
