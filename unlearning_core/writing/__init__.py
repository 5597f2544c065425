"""No text at hand: the model itself writes varied sentences with and without the concept."""
