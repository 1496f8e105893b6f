"""`python -m jarvis_trio`: the command line."""

import sys

from jarvis_trio.cli import main

sys.exit(main())
