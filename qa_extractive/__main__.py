"""The entry point of ``qa-extractive`` and of ``python -m qa_extractive``; never imported by anything else.

While the command line and what it needs are imported, Ctrl-C ends the process as it ends any other: there is
nothing to clear up yet, and a traceback through half-imported libraries tells nobody anything.
"""

# The module above it takes 20 ms to import, in which Ctrl-C would still be a traceback.
import _signal as signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> int:
    """Run ``qa-extractive``; the exit code."""
    from qa_extractive.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
