"""Xero, QuickBooks Online and Business Central on this machine, as far as Plixo asks them: see README.md."""

from .double import Double, urls

__all__ = ["Double", "urls"]
