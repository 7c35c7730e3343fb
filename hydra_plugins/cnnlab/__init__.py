"""cnnlab's Hydra plugins; Hydra finds them because they lie below `hydra_plugins`."""
