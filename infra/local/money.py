"""Money as people read it."""

import decimal

# Currencies whose minor unit is not a hundredth (ISO 4217).
MINOR_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX"), 0),
    **dict.fromkeys(("UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def written(minor_units: int, currency: str, digits: int) -> str:
    """An amount with its currency, as in `1,250.00 EUR`."""
    return f"{decimal.Decimal(minor_units).scaleb(-digits):,.{digits}f} {currency}"
