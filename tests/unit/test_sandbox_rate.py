"""The sandbox's rate limit, on a clock that the tests turn."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import UsageError
from dnssd.sandbox.api.exchange import Request, Response
from dnssd.sandbox.faults.rate import Bucket, limit

REQUEST = Request("1", "GET", "/", {}, {})


def _taken(bucket: Bucket) -> int:
    """How many tokens there are, all of which are taken."""
    count = 0
    while bucket.take():
        count += 1
    return count


def test_a_burst_passes_and_then_the_rate() -> None:
    """The bucket is full at first, fills at its rate, and holds no more than the burst."""
    clock = [0.0]
    bucket = Bucket(5, 3, lambda: clock[0])

    assert _taken(bucket) == 3
    clock[0] += 0.19
    assert _taken(bucket) == 0
    clock[0] += 0.02
    assert _taken(bucket) == 1
    clock[0] += 100
    assert _taken(bucket) == 3


@given(
    st.floats(0.1, 50),
    st.floats(1, 20),
    st.lists(st.floats(0, 3), max_size=60),
)
def test_never_more_than_burst_and_rate_allow(
    rate: float, burst: float, waits: list[float]
) -> None:
    """However the requests are spread; and what is allowed is not withheld either."""
    clock = [1000.0]
    bucket = Bucket(rate, burst, lambda: clock[0])
    taken = _taken(bucket)
    for wait in waits:
        clock[0] += wait
        taken += _taken(bucket)

        assert taken <= burst + rate * (clock[0] - 1000) + 1e-6
    clock[0] += burst / rate
    assert _taken(bucket) >= math.floor(burst - 1e-6)


def test_equal_steps_add_up_to_whole_tokens() -> None:
    """Ten tenths of a second at one request a second are one request."""
    clock = [0.0]
    bucket = Bucket(1, 1, lambda: clock[0])
    assert bucket.take()
    for _ in range(10):
        assert not bucket.take()
        clock[0] += 0.1

    assert bucket.take()


def test_the_bucket_is_everybodys() -> None:
    """Threads that ask at once get no token twice."""
    bucket = Bucket(1, 500, lambda: 0.0)
    start = threading.Barrier(8)

    def take() -> int:
        start.wait()
        return _taken(bucket)

    with ThreadPoolExecutor(8) as pool:
        takers = [pool.submit(take) for _ in range(8)]

    assert sum(taker.result() for taker in takers) == 500


def test_what_is_beyond_the_rate_is_throttled() -> None:
    """As Route 53 words it, and it does not reach the zones."""
    handled = []

    def handler(request: Request) -> Response:
        handled.append(request)
        return Response(200, b"")

    limited = limit(Bucket(1, 1, lambda: 0.0))(handler)

    assert limited(REQUEST).status == 200
    refused = limited(REQUEST)
    assert (refused.status, refused.error) == (400, "Throttling")
    assert b"<Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</" in refused.body
    assert len(handled) == 1


@pytest.mark.parametrize(
    ("rate", "burst"), [(0, 1), (-1, 1), (math.nan, 1), (math.inf, 1), (1, 0.5), (1, math.nan)]
)
def test_a_rate_that_makes_no_sense_is_refused(rate: float, burst: float) -> None:
    """Each message says what is needed."""
    with pytest.raises(UsageError, match=r"needed|give 1 or more"):
        Bucket(rate, burst, lambda: 0.0)
