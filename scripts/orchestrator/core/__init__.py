"""Decisions: no clock, no file, no process, no randomness."""
