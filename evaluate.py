"""Measure models: ``python evaluate.py --data F [--model M ...] --output D``; see ``--help``.

Run as a script only: beside this file it shadows the PyPI package ``evaluate``.
"""

import sys

if __name__ == "__main__":
    from qa_extractive.cli import main

    sys.exit(main(["evaluate", *sys.argv[1:]]))
