"""What Cloudflare says when it does not do what was asked."""

from typing import Any

DUPLICATE = 81058  # it was 81057 once; both mean the same
ABSENT = 81044
ADDRESS_CONFLICT = 81053
CNAME_CONFLICT = 81054
QUOTA = 81045
BAD_NAME, BAD_CONTENT, BAD_PROXIED, BAD_TTL, BAD_DATA = 9000, 9005, 9004, 9021, 9101
BAD_BODY = 9207
INVALID = 1004
NO_ROUTE, NO_ACCESS, BAD_TOKEN, BAD_HEADERS, THROTTLED = 7003, 10000, 9109, 6003, 971


class ApiError(Exception):
    """A request that is refused.

    Attributes:
        code: Cloudflare's number of the error.
        status: The HTTP status.
        chain: Errors that explain it.
    """

    def __init__(
        self, code: int, message: str, status: int = 400, chain: tuple["ApiError", ...] = ()
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.chain = chain

    def document(self) -> dict[str, Any]:
        """As it stands in an answer's `errors`."""
        made: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.chain:
            made["error_chain"] = [error.document() for error in self.chain]
        return made
