"""Layers that several models share; no config group."""
