"""What was measured -> files for people and programs; ``writing`` is the entry."""
