"""Who answers at the metadata address, for machines whose firmware says nothing."""

import http.client
from collections.abc import Mapping

from dnssd.deadline import Deadline
from dnssd.hosts.metadata import ADDRESS, Answer, countdown, exchange

PATIENCE = 1.0  # seconds that all of it may take: on most machines nobody is there

# What to ask for until the answer is 200. EC2 and Google's servers tell by any answer.
_QUESTIONS: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("azure", "/metadata/instance?api-version=2021-02-01", {"Metadata": "true"}),
    ("openstack", "/openstack", {}),
)


def probe(deadline: Deadline, *, endpoint: str = ADDRESS) -> str | None:
    """The cloud whose metadata service answers; None if nobody does, or nobody known.

    Args:
        deadline: How long it may take, `PATIENCE` at most.
        endpoint: Where to ask.
    """
    left = countdown(deadline, min(PATIENCE, deadline.remaining))
    try:
        answer = exchange(endpoint, "GET", "/", {}, left)
        if cloud := _signature(answer):
            return cloud
        for cloud, path, headers in _QUESTIONS:
            if exchange(endpoint, "GET", path, headers, left).status == 200:
                return cloud
    except (OSError, http.client.HTTPException):
        pass  # nobody is there, or nothing that we know
    return None


def _signature(answer: Answer) -> str | None:
    if answer.headers.get("metadata-flavor") == "Google":
        return "gce"
    return "ec2" if answer.headers.get("server", "").startswith("EC2ws") else None
