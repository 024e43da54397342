"""Examples -> a calibrated checkpoint: recipe, splits, batches, the Trainer run. Needs the [train] extra."""
