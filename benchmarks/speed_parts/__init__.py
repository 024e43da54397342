"""What ``benchmarks/speed.py`` is made of: texts, models, systems, limits, rounds, report."""
