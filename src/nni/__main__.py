"""``python -m nni`` is ``nnictl``."""

import sys

from nni.cli import main

sys.exit(main.main())
