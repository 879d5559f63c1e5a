"""A module that ends the process."""

import sys

sys.exit("not installed")
