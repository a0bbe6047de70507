"""The version of this package: what `dnssd --version` and the wheel say."""

__version__ = "0.1.0"
