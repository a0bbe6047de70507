"""What the sandbox answers when it does not do what was asked, in Route 53's words."""

from collections.abc import Sequence

from dnssd.errors import ZoneError


class Rejection(ZoneError):
    """A request that is refused.

    Attributes:
        code: Route 53's name for the error, such as `InvalidChangeBatch`.
        message: Route 53's explanation.
        status: The HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid_input(message: str) -> Rejection:
    """The request itself has no meaning."""
    return Rejection("InvalidInput", message)


def invalid_batch(messages: Sequence[str]) -> Rejection:
    """The batch cannot be applied to the zone; none of it was."""
    return Rejection("InvalidChangeBatch", f"[{', '.join(messages)}]")
