"""Export a checkpoint: ``python export_onnx.py --model D --output D2``; see ``--help``."""

import _signal as signal  # the module above it takes 20 ms, in which Ctrl-C would still be a traceback
import sys

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # Ctrl-C ends it without a traceback while it is imported

    from qa_extractive.cli import main

    sys.exit(main(["export", *sys.argv[1:]]))
