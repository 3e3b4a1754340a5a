"""holdtrue finds the smallest language model that can hold a given identity.

This module imports nothing: the stages are imported by the verb that needs them, so that
``holdtrue --help`` stays fast.
"""

__version__ = "0.1.0"
