"""Export a checkpoint: ``python export_onnx.py --model D --output D2``; see ``--help``."""

import sys

from qa_extractive.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
