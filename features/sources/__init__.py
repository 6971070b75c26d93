"""Readers of the files that events come in: one kind of source a module."""
