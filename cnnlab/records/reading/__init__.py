"""Records read from disk, whatever their state: `records.reading.sweeps` makes tables of them."""
