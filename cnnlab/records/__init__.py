"""What runs leave on disk: written, found again, read."""
