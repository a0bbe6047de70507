"""The double of Cloudflare's API: what it takes, what it refuses, and the official client."""

from collections.abc import Iterator
from typing import Any

import cloudflare as official
import pytest
import requests

from kit.cloudflare import Cloudflare, Fault
from kit.cloudflare.records import Rules

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
SRV: dict[str, Any] = {"priority": 0, "weight": 5, "port": 80, "target": "a.example.test"}


def a(name: str = "a.example.test", content: str = "192.0.2.1", **more: Any) -> dict[str, Any]:
    """An address record to post."""
    return {"type": "A", "name": name, "content": content, "ttl": 60, **more}


def srv(name: str = "web._http._tcp.example.test", **data: Any) -> dict[str, Any]:
    """An SRV record to post."""
    return {"type": "SRV", "name": name, "ttl": 60, "data": {**SRV, **data}}


@pytest.fixture
def clock() -> list[float]:
    """The time, to be changed by the test."""
    return [0.0]


@pytest.fixture
def double(clock: list[float]) -> Iterator[Cloudflare]:
    """A zone `example.test`, and 100 calls in 300 seconds."""
    with Cloudflare(calls=100, now=lambda: clock[0]) as running:
        yield running


def call(
    double: Cloudflare, method: str, path: str, *, token: str | None = None, **more: Any
) -> requests.Response:
    """Call the API."""
    headers = {"Authorization": f"Bearer {token or double.token}"}
    return requests.request(method, double.url + path, headers=headers, timeout=PATIENCE, **more)


def batch(double: Cloudflare, *posts: Any, deletes: Any = ()) -> requests.Response:
    """Send a batch: records to post, and ids to delete before."""
    body = {"deletes": [{"id": each} for each in deletes], "posts": list(posts)}
    return call(double, "POST", f"/zones/{double.zone_id}/dns_records/batch", json=body)


def listed(double: Cloudflare, **query: Any) -> list[dict[str, Any]]:
    """Records as a listing gives them."""
    answer = call(double, "GET", f"/zones/{double.zone_id}/dns_records", params=query)
    assert answer.status_code == 200, answer.text
    result: list[dict[str, Any]] = answer.json()["result"]
    return result


def code(answer: requests.Response) -> int:
    """The first error's code."""
    document = answer.json()
    assert (document["success"], document["result"]) == (False, None)
    first: int = document["errors"][0]["code"]
    return first


def test_the_official_client_finds_lists_and_changes(double: Cloudflare) -> None:
    """A client that this project did not write gets along with it."""
    with official.Cloudflare(api_token=double.token, base_url=double.url) as client:
        (zone,) = client.zones.list(name="example.test")
        records = client.dns.records
        text: Any = {"type": "TXT", "name": "t.example.test", "content": '"a=1" "b"', "ttl": 120}
        posts: Any = [a(proxied=False), srv(), text]
        made = records.batch(zone_id=zone.id, posts=posts)
        assert made is not None
        assert made.posts is not None
        assert [record.type for record in made.posts] == ["A", "SRV", "TXT"]
        found = list(records.list(zone_id=zone.id, name={"endswith": "_tcp.example.test"}))
        assert [(r.type, r.content) for r in found] == [("SRV", "0 5 80 a.example.test")]
        assert len(list(records.list(zone_id=zone.id, per_page=1))) == 3
        with pytest.raises(official.BadRequestError) as refused:
            records.batch(zone_id=zone.id, posts=[posts[0]])
        assert refused.value.errors[0].code == 81058
        records.batch(zone_id=zone.id, deletes=[{"id": found[0].id}], posts=[])

    assert [record.type for record in double.records()] == ["A", "TXT"]


def test_what_is_posted_is_listed_as_the_api_gives_it(double: Cloudflare) -> None:
    """Names in full and in lower case, numbers as floats, TXT as it is read."""
    text = {"type": "TXT", "name": "T", "content": '"a"   "\\098"', "ttl": 1}
    batch(double, a("A.Example.test"), srv(), text)

    address, service, words = listed(double, order="type")
    assert (address["name"], address["ttl"], address["proxiable"]) == ("a.example.test", 60, False)
    assert service["data"] == {**SRV, "priority": 0.0, "weight": 5.0, "port": 80.0}
    assert (words["name"], words["content"]) == ("t.example.test", '"a" "b"')
    assert len({record["id"] for record in (address, service, words)}) == 3


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (a(ttl=30), 9021),
        (a(ttl=90_000), 9021),
        (a(content="192.0.2"), 9005),
        (a("a b"), 9000),
        (a("a.example.test."), 9000),
        (a("café"), 9000),
        (a(content="10.0.0.1", proxied=True), 9004),
        (srv() | {"data": None, "content": "0 5 80 a.example.test"}, 9101),
        (srv(port=70_000), 9101),
        (srv(target="a.example.test."), 9005),
        ({"type": "TXT", "name": "t", "content": "plain", "ttl": 60}, 9005),
        ({"type": "TXT", "name": "t", "content": f'"{"x" * 256}"', "ttl": 60}, 9005),
        ({"type": "PTR", "name": "p", "content": "a.", "ttl": 60}, 9005),
        ({"type": "XYZ", "name": "p", "content": "a", "ttl": 60}, 1004),
        (a() | {"id": "x"}, 9207),
        ("a", 9207),
    ],
)
def test_what_is_wrong_is_refused_with_all_that_came_with_it(
    double: Cloudflare, wrong: Any, expected: int
) -> None:
    """A batch is one transaction; the first error is told."""
    refused = batch(double, a("fine"), wrong)

    assert (refused.status_code, code(refused)) == (400, expected)
    assert double.records() == ()


def test_deletes_come_first_and_name_ids(double: Cloudflare) -> None:
    """A swap in one transaction; an id that is gone refuses all of it."""
    old = double.put(**a())

    assert batch(double, a(), deletes=[old.id]).status_code == 200
    (new,) = double.records()
    assert new.id != old.id
    stale = batch(double, a("b"), deletes=[old.id])
    assert (stale.status_code, code(stale)) == (400, 81044)
    assert double.records() == (new,)


def test_identical_records_are_refused_but_for_srv(double: Cloudflare) -> None:
    """Which is how two who found at once meet."""
    batch(double, a(), srv())

    assert code(batch(double, a())) == 81058
    assert batch(double, srv()).status_code == 200
    assert batch(double, a(content="192.0.2.2")).status_code == 200
    with Cloudflare(rules=Rules("", duplicate=81057)) as former:
        batch(former, a())
        assert code(batch(former, a())) == 81057


def test_a_cname_stands_alone(double: Cloudflare) -> None:
    """Beside addresses with one code, beside all else with another."""
    cname = {"type": "CNAME", "name": "c", "content": "a.example.test", "ttl": 60}
    batch(double, cname, a())

    assert code(batch(double, a("c"))) == 81053
    assert code(batch(double, srv("c"))) == 81054
    assert code(batch(double, cname | {"name": "a"})) == 81053


def test_one_proxied_address_makes_all_of_the_name_proxied(double: Cloudflare) -> None:
    """And its TTL automatic."""
    batch(double, a("w", "198.51.99.1"))
    batch(double, a("w", "198.51.99.2", proxied=True, ttl=1))

    assert [(r["proxied"], r["ttl"]) for r in listed(double)] == [(True, 1)] * 2


def test_the_limits_of_a_free_plan(double: Cloudflare) -> None:
    """Operations in a batch, records in a zone, and contents of one name and type."""
    assert code(batch(double, *(a(f"h{n}") for n in range(201)))) == 1004
    assert batch(double, *(a(f"h{n}") for n in range(200))).status_code == 200
    assert code(batch(double, a())) == 81045
    text = f'"{"x" * 250}"'
    with Cloudflare() as other:
        texts = [
            {"type": "TXT", "name": "t", "content": f'"{n}" {text}', "ttl": 60} for n in range(40)
        ]
        assert batch(other, *texts[:30]).status_code == 200
        assert code(batch(other, *texts[30:])) == 1004


def test_a_listing_is_filtered_and_comes_in_pages(double: Cloudflare) -> None:
    """The suffix also matches what merely ends so; all filters must hold unless any may."""
    batch(double, srv(), srv("xweb._http._tcp.example.test"), a(), a("b", "192.0.2.2"))

    assert len(listed(double, **{"name.endswith": "web._http._tcp.example.test"})) == 2
    assert len(listed(double, **{"name.exact": "WEB._http._tcp.example.test"})) == 1
    assert len(listed(double, **{"name.exact": "a.example.test", "type": "TXT"})) == 0
    assert len(listed(double, match="any", type="A", **{"name.startswith": "xweb"})) == 3
    first, last = (
        call(double, "GET", f"/zones/{double.zone_id}/dns_records?per_page=3&page={page}").json()
        for page in (1, 2)
    )
    assert [len(page["result"]) for page in (first, last)] == [3, 1]
    assert last["result_info"] == {
        "page": 2,
        "per_page": 3,
        "count": 1,
        "total_count": 4,
        "total_pages": 2,
    }
    for query in ("nam=a", "per_page=5001", "page=0", "match=both"):
        refused = call(double, "GET", f"/zones/{double.zone_id}/dns_records?{query}")
        assert code(refused) == 1004


def test_what_is_delegated_away_is_shadowed(double: Cloudflare) -> None:
    """Nothing is refused below a delegation; who asks is told."""
    ns = double.put(type="NS", name="_tcp", content="ns.elsewhere.test", ttl=60)
    batch(double, srv("web._tcp"), a())

    shown = {r["name"]: r["meta"] for r in listed(double, include_shadow_metadata="true")}
    assert shown["web._tcp.example.test"] == {"shadowed_by": [ns.id]}
    assert shown["a.example.test"] == {}
    assert all(not record["meta"] for record in listed(double))


def test_tokens_see_and_do_what_they_may(double: Cloudflare) -> None:
    """Unknown, expired, without the right, without the zone: each is told apart by its code."""
    records = f"/zones/{double.zone_id}/dns_records"
    blind = double.add_token(zones=())
    reader = double.add_token(can=["dns:read"])

    assert call(double, "GET", "/zones?name=example.test", token=blind).json()["result"] == []
    for answer, expected in (
        (call(double, "GET", records, token=blind), (403, 10000)),
        (call(double, "GET", "/zones", token=reader), (403, 9109)),
        (call(double, "POST", f"{records}/batch", token=reader, json={}), (403, 10000)),
        (call(double, "GET", records, token="unknown"), (403, 9109)),
        (call(double, "GET", f"/zones/{'0' * 32}/dns_records"), (403, 10000)),
        (call(double, "GET", "/zones/example.test/dns_records"), (404, 7003)),
        (call(double, "DELETE", f"{records}/x"), (404, 7003)),
        (requests.get(double.url + records, timeout=PATIENCE), (400, 6003)),
    ):
        assert (answer.status_code, code(answer)) == expected
    assert call(double, "GET", records, token=reader).status_code == 200
    double.expire(reader)
    assert code(call(double, "GET", records, token=reader)) == 9109


def test_calls_are_counted_and_beyond_their_number_all_are_refused(
    double: Cloudflare, clock: list[float]
) -> None:
    """Every answer tells how many are left; the excess blocks for a whole window."""
    first = call(double, "GET", "/zones")
    assert first.headers["Ratelimit"] == '"default";r=99;t=300'
    assert first.headers["Ratelimit-Policy"] == '"default";q=100;w=300'
    clock[0] = 200.0
    for _ in range(99):
        call(double, "GET", "/zones")
    for moment, wait in ((250.0, "300"), (540.0, "10")):
        clock[0] = moment
        refused = call(double, "GET", "/zones")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, wait)
    clock[0] = 550.0
    assert call(double, "GET", "/zones").status_code == 200
    assert call(double, "GET", "/zones", token=double.add_token()).status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [
        (Fault.ERROR_BEFORE, 500, 0),
        (Fault.ERROR_AFTER, 502, 1),
        (Fault.CUT_BEFORE, 0, 0),
        (Fault.CUT_AFTER, 0, 1),
        (Fault.THROTTLE, 429, 0),
    ],
)
def test_faults_come_on_request(double: Cloudflare, fault: Fault, status: int, done: int) -> None:
    """One request each, and whether it is carried out is certain."""
    double.faults.append(fault)
    if status:
        assert batch(double, a()).status_code == status
    else:
        with pytest.raises(requests.ConnectionError):
            batch(double, a())

    assert len(double.records()) == done
    assert double.requests[-1].status == status
    assert batch(double, a("b")).status_code == 200


def test_a_listing_may_be_stale(double: Cloudflare) -> None:
    """It shows what was there before the last change."""
    batch(double, a())
    double.faults.append(Fault.STALE)

    assert listed(double) == []
    assert len(listed(double)) == 1
    assert [len(state) for state in double.states()] == [0, 1]


def test_another_hand_may_remove_and_patch(double: Cloudflare) -> None:
    """A patch keeps the id: only the time of it and the content tell."""
    record = double.put(**a())
    double.patch(record.id, content="192.0.2.9")

    (shown,) = listed(double)
    assert (shown["id"], shown["content"]) == (record.id, "192.0.2.9")
    assert shown["modified_on"] > shown["created_on"]
    double.remove(record.id)
    assert listed(double) == []
