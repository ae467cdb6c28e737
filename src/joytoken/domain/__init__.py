"""Nouns and arithmetic of the house: no I/O, no clock, no randomness, no environment."""
