"""Causal language models: where they come from, how they load, where their neurons are."""
