"""Concept unlearning in causal language models: find the neurons, cut them, retrain, measure.

Importing the package loads no torch: heavy imports live in the functions that need them.
"""

__version__ = "0.1.0"
