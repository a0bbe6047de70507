"""Requests to Route 53's API as they travel, for tests that use no client."""

import http.client
from contextlib import closing

from dnssd.sandbox.server import host_and_port

SIGNED = {
    "authorization": "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/route53/aws4_request"
}
ZONES = "/2013-04-01/hostedzone"
PATIENCE = 60  # seconds until a test gives up; nothing waits that long

_BATCH = (
    "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes>{}</Changes></ChangeBatch>"
    "</ChangeResourceRecordSetsRequest>"
)
_EDIT = (
    "<Change><Action>{}</Action><ResourceRecordSet><Name>{}</Name><Type>{}</Type><TTL>60</TTL>"
    "<ResourceRecords><ResourceRecord><Value>{}</Value></ResourceRecord></ResourceRecords>"
    "</ResourceRecordSet></Change>"
)


def batch(*edits: tuple[str, str, str, str]) -> str:
    """The body of ChangeResourceRecordSets: action, name, type and value of each edit."""
    return batch_of("".join(_EDIT.format(*edit) for edit in edits))


def batch_of(changes: str) -> str:
    """The same for changes in XML, right or wrong."""
    return _BATCH.format(changes)


def rrset_path(zone_id: str) -> str:
    """Where the RRsets of a zone are listed and changed."""
    return f"{ZONES}/{zone_id}/rrset"


def ask(
    address: tuple[str, int], method: str, path: str, body: str | bytes | None = None
) -> tuple[int, str]:
    """Ask by a connection of one's own; the status and document of the answer."""
    place = host_and_port(*address)
    with closing(http.client.HTTPConnection(place, timeout=PATIENCE)) as connection:
        connection.request(method, path, body, SIGNED)
        with connection.getresponse() as response:
            return response.status, response.read().decode()
