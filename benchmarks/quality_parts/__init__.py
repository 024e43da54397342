"""What ``benchmarks/quality.py`` measures: a module for each kind of data, one function a part."""
