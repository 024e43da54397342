"""Answer questions: ``python infer.py --batch data/inference_data.csv``; see ``--help``."""

import _signal as signal  # the module above it takes 20 ms, in which Ctrl-C would still be a traceback
import sys

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C ends it without a traceback while it is imported
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from qa_extractive.cli import main

    sys.exit(main(["infer", *sys.argv[1:]]))
