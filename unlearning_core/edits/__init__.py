"""Which neurons are cut: the mask, the preview by hooks, the export in weights, the recipe."""
