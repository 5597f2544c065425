"""The experiment as one JSON file: its settings (`schema`) and how they are read (`reading`)."""
