"""`python -m tests.storm`."""

import sys

from tests.storm.command import main

sys.exit(main())
