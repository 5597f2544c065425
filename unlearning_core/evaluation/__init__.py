"""Is it gone, what did it cost: metrics with standard errors, and generated text."""
