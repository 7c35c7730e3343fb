"""From a table of runs to what can be said: tables in, tables and sentences out, no PyTorch."""
