"""The stages of a run, one file each; in their order in registry.py."""
