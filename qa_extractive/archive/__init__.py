"""An exported model as one file, ``model.tar.gz``: written, checked, opened. Serving code: no torch."""
