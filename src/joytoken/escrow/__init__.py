"""Holds against leased money, a journal before every promise, and one thread that brings both to the store."""
