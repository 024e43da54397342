"""The torch model: its heads and losses, and how checkpoints are loaded. Needs the [train] extra."""
