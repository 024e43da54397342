"""Answer questions: ``python infer.py --batch data/inference_data.csv``; see ``--help``."""

import sys

from qa_extractive.cli import main

if __name__ == "__main__":
    sys.exit(main(["infer", *sys.argv[1:]]))
