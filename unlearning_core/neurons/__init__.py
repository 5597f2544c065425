"""One neuron by itself: its standing in every ranking, when it is active, what it promotes, what its cut does."""
