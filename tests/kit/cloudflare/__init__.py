"""A double of Cloudflare's API v4: the calls that zones need, as strict as the real one or more.

No account can be reached from a test. This is made from the public description of the API;
the official `cloudflare` package drives it too. What is known only from hearsay is refused
here if it is doubtful, so that nobody comes to rely on it.
"""

from kit.cloudflare.double import Cloudflare, Exchange, Fault
from kit.cloudflare.errors import ApiError

__all__ = ["ApiError", "Cloudflare", "Exchange", "Fault"]
