"""Counts of what became of requests."""

import json
from concurrent.futures import ThreadPoolExecutor

from dnssd.sandbox.api.counts import MAX_CLIENTS, OTHERS, Counts


def test_what_became_of_each_request_is_counted() -> None:
    """By operation and outcome, by fault and by client; the document is JSON of it."""
    counts = Counts()
    counts.add("GetHostedZone", None, None, "a")
    counts.add("GetHostedZone", "Throttling", "throttle", "a")
    counts.add("GetChange", "Throttling", None, "b")
    counts.add("", "UnknownOperation", None, "b")
    counts.add("GetChange", "ConnectionClosed", "cut-before", "b")

    assert json.loads(counts.document()) == counts.report()
    assert counts.report() == {
        "requests": 5,
        "admitted": 3,
        "throttled": 2,
        "faults": {"throttle": 1, "cut-before": 1},
        "by_action": {
            "GetHostedZone": {"ok": 1, "Throttling": 1},
            "GetChange": {"Throttling": 1, "ConnectionClosed": 1},
            "none": {"UnknownOperation": 1},
        },
        "by_user_agent": {"a": 2, "b": 3},
    }


def test_nothing_was_counted_yet() -> None:
    """The keys are there from the start."""
    report = Counts().report()

    assert (report["requests"], report["admitted"], report["throttled"]) == (0, 0, 0)
    assert report["faults"] == report["by_action"] == report["by_user_agent"] == {}


def test_clients_without_end_share_a_count() -> None:
    """A client that calls itself something new each time cannot fill the memory."""
    counts = Counts()
    for number in range(3 * MAX_CLIENTS):
        counts.add("", None, None, f"agent {number}")
    counts.add("", None, None, "agent 0")

    clients = counts.report()["by_user_agent"]
    assert len(clients) == MAX_CLIENTS + 1
    assert (clients["agent 0"], clients[OTHERS]) == (2, 2 * MAX_CLIENTS)


def test_one_client_is_one_whatever_it_uses() -> None:
    """The word in which botocore lists features differs from run to run."""
    counts = Counts()
    for features in ("m/Z,E", "m/E,Z"):
        counts.add("", None, None, f"Boto3/1 {features} cfg/x dnssd/1")

    assert counts.report()["by_user_agent"] == {"Boto3/1 cfg/x dnssd/1": 2}


def test_counting_is_exact_with_many_at_once() -> None:
    """No request is lost between threads."""
    counts = Counts()

    def count() -> None:
        for _ in range(1000):
            counts.add("GetChange", None, "slow", "a")

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(count)

    report = counts.report()
    assert report["requests"] == report["faults"]["slow"] == report["by_user_agent"]["a"] == 8000
