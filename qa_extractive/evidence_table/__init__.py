"""The evidence table: papers x questions, each cell a quote or an honest "not reported"."""
