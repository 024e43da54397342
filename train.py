"""Train a model: ``python train.py --data F [F ...] --base M --output D``; see ``--help``."""

import sys

from qa_extractive.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
