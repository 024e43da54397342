"""A question's way to an answer, in order: windows, backend, decoding, calibration. No torch."""
