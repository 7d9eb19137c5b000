"""``python -m iotprovision``: the same as the ``iotprovision`` command."""

import sys

from iotprovision.cli import main

sys.exit(main())
