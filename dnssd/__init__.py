"""Register elastic services in authoritative DNS, and find them again (DNS-SD, RFC 6763)."""

__version__ = "0.1.0"
