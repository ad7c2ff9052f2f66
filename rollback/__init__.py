"""Rollback procedures of SpherosegV4: plans as data, proof before done."""

__all__ = ["__version__"]
__version__ = "0.1.0"
