"""The command line as a process of its own that Ctrl-C stops.

A shell starts jobs in its background with Ctrl-C ignored, and what they start inherits that: a
test suite run there would wait for ever.
"""

import sys

MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from holdtrue.cli.main import main; main()"
)
HOLDTRUE = (sys.executable, "-u", "-c", MAIN)
