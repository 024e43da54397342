"""Training on a GPU: several teachers at once, and a student that learns from all of them. Needs [train]."""
