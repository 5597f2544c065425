"""One neuron by itself: its rank by every method, when it is active, what it promotes, what its cut does."""
