"""Train a model: ``python train.py --data F [F ...] --base M --output D``; see ``--help``.

From a task folder ``python train.py finetune DIR``, from new rows ``update M --data F``, from rows of yes or
no ``triage F``, several at once ``sweep F``.
"""

import _signal as signal  # the module above it takes 20 ms, in which Ctrl-C would still be a traceback
import sys

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # Ctrl-C ends it without a traceback while it is imported

    from qa_extractive.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
