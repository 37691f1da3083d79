"""Tuning an encoder: which of its weights learn, adapters, prompts, and how far training moved it."""
