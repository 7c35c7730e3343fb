"""Configs: what may be set, how it is put together, how a part is found and checked."""
