"""Where models come from: folder, Hub, GGUF, zip, starters."""
