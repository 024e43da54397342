"""Examples -> a calibrated checkpoint: recipe, mixture, batches, the Trainer run. Needs the [train] extra."""
