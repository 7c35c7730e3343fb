"""Records read from disk, whatever their state: `cnnlab.aggregate` makes tables of them."""
