"""Methods: what makes an edited or trained model out of another one, one file each, and their registry."""
