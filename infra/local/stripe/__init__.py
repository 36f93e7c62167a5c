"""A Stripe double for tests and the demo: see README.md."""

from .double import Double

__all__ = ["Double"]
