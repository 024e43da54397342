"""The HTTP service: many callers, one predictor. Needs the [serve] extra."""
