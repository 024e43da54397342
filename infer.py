"""Answer questions: ``python infer.py --batch data/inference_data.csv``; see ``--help``."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback while it is imported

    from qa_extractive.cli import main

    sys.exit(main(["infer", *sys.argv[1:]]))
