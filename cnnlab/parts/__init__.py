"""What can be ablated: a folder for each config group, of the same name."""
