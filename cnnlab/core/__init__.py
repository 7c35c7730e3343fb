"""What every other room uses: errors, limits, files, seeding, events, the console, metrics."""
