"""Which questions a look-up asks, and what it makes of their answers: steps without a network."""

from collections.abc import Sequence

import pytest

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Address, Ptr, Rdata, Srv, Txt
from dnssd.resolver.gather import Gathering
from dnssd.resolver.known import (
    LEFT_ALONE,
    NOTHING,
    PASSING,
    CachedRRset,
    Key,
    Known,
    unanswered,
)
from dnssd.resolver.outcome import LookupResult
from dnssd.resolver.snapshot import MAX_INSTANCES
from dnssd.resolver.targets import Question
from dnssd.services import ServiceName, parse_service_name
from dnssd.wire.answers import Answer
from dnssd.wire.belief import Doubt, Evidence
from dnssd.wire.message import Record

SERVICE = parse_service_name("_http._tcp.example.com")
WEB = parse_service_name("web._http._tcp.example.com")
TTL = 60
EXPIRES = 60.0
Answers = dict[tuple[str, str], list[Rdata] | None]  # None for one that does not come


def key(name: str, rdtype: str) -> Key:
    """What a question is found by."""
    return Name.parse(name).key, rdtype


def srv(*targets: str) -> list[Rdata]:
    """SRV rdata that lead there."""
    return [Srv(0, 0, 80, Name.parse(target)) for target in targets]


def ptr(*instances: str) -> list[Rdata]:
    """PTR rdata that name instances."""
    return [Ptr(Name.parse(f"{instance}._http._tcp.example.com")) for instance in instances]


def at(*addresses: str) -> list[Rdata]:
    """A or AAAA rdata."""
    return [Address.parse(address) for address in addresses]


TXT: list[Rdata] = [Txt((b"a=1",))]
ONE: Answers = {
    ("_http._tcp.example.com.", "PTR"): ptr("web"),
    ("web._http._tcp.example.com.", "SRV"): srv("a.example.com"),
    ("web._http._tcp.example.com.", "TXT"): TXT,
    ("a.example.com.", "A"): at("10.0.0.1"),
    ("a.example.com.", "AAAA"): at("2001:db8::1"),
}


class Servers:
    """Answers questions from a table.

    Args:
        answers: Values by name and type; what is not in it does not exist.
        additional: What comes beside every SRV answer.
    """

    def __init__(self, answers: Answers, additional: Answers | None = None) -> None:
        self.answers = answers
        self.additional = additional or {}
        self.batches: list[set[tuple[str, str]]] = []

    def run(
        self, asked: ServiceName = WEB, known: Known = NOTHING, now: float = 0.0
    ) -> LookupResult:
        """A whole look-up, that asks for all there is."""
        gathering = Gathering(asked, known, now, whole=True)
        return self.follow(gathering, gathering.begin())

    def complete(self, known: Known) -> LookupResult:
        """Only what the first look-up has left out."""
        gathering = Gathering(WEB, known)
        return self.follow(gathering, gathering.complete())

    def follow(self, gathering: Gathering, questions: Sequence[Question]) -> LookupResult:
        """Answer until all is result: those first that were asked first."""
        while questions:
            self.batches.append({(str(name), rdtype) for name, rdtype in questions})
            answers = [(question, self.reply(question)) for question in questions]
            questions = [more for one in answers for more in gathering.take(*one, 0.0)]
        assert not gathering.open
        return gathering.result()

    def reply(self, question: Question) -> Answer | Unavailable:
        """What comes of one question."""
        name, rdtype = str(question[0]), question[1]
        values = self.answers.get((name, rdtype), [])
        if values is None:
            return Unavailable(f"{name} {rdtype}: no answer")
        more = self.additional.items() if rdtype == "SRV" else ()
        records = tuple(
            Record(Name.parse(n), t, TTL, v)
            for (n, t), found in more
            for v in found or ()
            if isinstance(v, Address)
        )
        return Answer(tuple(values), TTL, additional=records)


def known(answers: Answers, expires_at: float = EXPIRES) -> dict[Key, CachedRRset]:
    """What such answers have left behind."""
    return {key(*one): CachedRRset(tuple(v or ()), expires_at, TTL) for one, v in answers.items()}


def test_an_instance_takes_two_rounds() -> None:
    """SRV and TXT side by side, then both families of addresses."""
    servers = Servers(ONE)

    result = servers.run()

    web = "web._http._tcp.example.com."
    assert servers.batches == [
        {(web, "SRV"), (web, "TXT")},
        {("a.example.com.", "A"), ("a.example.com.", "AAAA")},
    ]
    assert result == LookupResult(known({k: v for k, v in ONE.items() if k[1] != "PTR"}))


def test_a_service_takes_three_rounds() -> None:
    """PTR first; then all its instances at once."""
    servers = Servers(ONE | {("_http._tcp.example.com.", "PTR"): ptr("web", "v2")})

    servers.run(SERVICE)

    assert servers.batches[0] == {("_http._tcp.example.com.", "PTR")}
    assert servers.batches[1] == {
        (f"{instance}._http._tcp.example.com.", rdtype)
        for instance in ("web", "v2")
        for rdtype in ("SRV", "TXT")
    }
    assert len(servers.batches) == 3


def test_a_service_without_pointers_is_asked_for_plain_srv_records() -> None:
    """RFC 2782 before DNS-SD."""
    servers = Servers({("_http._tcp.example.com.", "SRV"): srv("a.example.com")})

    servers.run(SERVICE)

    assert servers.batches[1] == {("_http._tcp.example.com.", kind) for kind in ("SRV", "TXT")}


def test_additional_data_that_lack_an_address_are_doubted() -> None:
    """Warm: one of two came along; the other is dropped only once it was asked for."""
    two = ONE | {("a.example.com.", "A"): at("10.0.0.1", "10.0.0.2")}
    servers = Servers(two, additional={("a.example.com.", "A"): at("10.0.0.2")})

    result = servers.run(known=known(two))

    assert ("a.example.com.", "A") in servers.batches[-1]
    assert result.found[key("a.example.com.", "A")].values == tuple(at("10.0.0.1", "10.0.0.2"))


class Counted(Txt):
    """A value that counts how often any is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__eq__(other)

    __hash__ = Txt.__hash__


def test_thousands_of_values_are_united_in_one_go() -> None:
    """Comparing each with each takes seconds, in which an event loop stands still."""
    values = [Counted((b"%d" % number,)) for number in range(4000)]
    evidence = Evidence(Doubt(frozenset(values[:2000])))
    for _ in range(2):
        evidence.take(Answer(tuple(values[2000:]), TTL))
    Counted.compared = 0

    united = evidence.at_last()

    assert united
    assert len(united.values) == 4000
    assert Counted.compared <= 8000
    addresses = at(*(f"10.0.{number // 250}.{number % 250}" for number in range(4000)))
    more: Answers = {("a.example.com.", "A"): addresses}
    assert Servers(ONE, additional=more).run().found[key("a.example.com.", "A")].values == tuple(
        addresses
    )


def test_addresses_that_came_with_srv_records_need_no_question() -> None:
    """One round less; that the other family was not asked for is said."""
    servers = Servers(ONE, additional={("a.example.com.", "A"): at("10.0.0.1")})

    result = servers.run()

    assert len(servers.batches) == 1
    assert result.incomplete
    assert key("a.example.com.", "A") in result.found


def test_additional_addresses_of_strangers_are_left_alone() -> None:
    """Only what an SRV record points to is of interest."""
    more: Answers = {("evil.example.com.", "A"): at("10.6.6.6")}

    result = Servers(ONE, additional=more).run()

    assert key("evil.example.com.", "A") not in result.found


def test_targets_that_are_not_offered_have_no_address() -> None:
    """The root is no host to ask about, and a target of many records is asked about once."""
    web = "web._http._tcp.example.com."
    servers = Servers({(web, "SRV"): srv(".", "a.example.com", "A.example.com")})

    servers.run()

    assert servers.batches[1] == {("a.example.com.", "A"), ("a.example.com.", "AAAA")}


@pytest.mark.parametrize("txt", [TXT, []])
def test_an_instance_that_is_not_offered_is_looked_for_in_its_service(txt: list[Rdata]) -> None:
    """To tell one that nobody offers from one that nobody has heard of, but for a wildcard."""
    listed = {("_http._tcp.example.com.", "PTR"): ptr("web")}
    servers = Servers({**listed, ("web._http._tcp.example.com.", "TXT"): txt})

    servers.run()

    assert servers.batches[1] == {("_http._tcp.example.com.", "PTR")}


@pytest.mark.parametrize(
    "lost",
    [
        ("_http._tcp.example.com.", "PTR"),
        ("web._http._tcp.example.com.", "SRV"),
        ("web._http._tcp.example.com.", "TXT"),
    ],
)
def test_what_cannot_be_had_is_told_and_keeps_nothing_else_away(lost: tuple[str, str]) -> None:
    """Cold: what was not answered is missing, not absent; the rest can be used."""
    result = Servers({**ONE, lost: None}).run(SERVICE)

    assert result.in_part
    assert result.missing == ((Name.parse(lost[0]), lost[1]),)
    assert [str(error) for error in result.failures] == [f"{lost[0]} {lost[1]}: no answer"]


def test_a_target_without_an_answer_does_not_hide_the_others() -> None:
    """Cold: it has no address, and that is told."""
    answers = ONE | {
        ("web._http._tcp.example.com.", "SRV"): srv("a.example.com", "b.example.com"),
        ("b.example.com.", "A"): None,
        ("b.example.com.", "AAAA"): None,
    }

    result = Servers(answers).run()

    assert len(result.failures) == 2
    assert result.in_part
    assert result.missing == tuple((Name.parse("b.example.com."), kind) for kind in ("A", "AAAA"))
    assert not result.found[key("b.example.com.", "A")].values


def test_no_address_at_all_and_a_failure_is_a_failure() -> None:
    """Cold: that the one family does not exist says nothing of the other."""
    with pytest.raises(Unavailable, match="AAAA: no answer"):
        Servers(ONE | {("a.example.com.", "A"): [], ("a.example.com.", "AAAA"): None}).run()


@pytest.mark.parametrize("lost", [one for one in ONE if one[1] != "PTR"])
def test_what_was_known_stands_in_for_an_answer(lost: tuple[str, str]) -> None:
    """Warm: one question fails, the rest is news."""
    before = known(ONE, expires_at=10.0)

    result = Servers({**ONE, lost: None}).run(SERVICE, before)

    assert result.in_part
    assert [str(error) for error in result.failures] == [f"{lost[0]} {lost[1]}: no answer"]
    assert result.found == known(ONE) | {key(*lost): unanswered(before[key(*lost)], 0.0)}


@pytest.mark.parametrize("asked", [SERVICE, WEB])
def test_nothing_but_failures_is_a_failure(asked: ServiceName) -> None:
    """Warm: old values alone must not pass for news; nor are more questions asked in vain."""
    servers = Servers(dict.fromkeys(ONE))

    with pytest.raises(Unavailable, match="no answer"):
        servers.run(asked, known(ONE))
    assert len(servers.batches) == 1


def test_a_newcomer_without_an_answer_is_left_for_the_next_time() -> None:
    """Warm: others are not given up for its sake."""
    answers = ONE | {
        ("_http._tcp.example.com.", "PTR"): ptr("web", "v2"),
        ("v2._http._tcp.example.com.", "SRV"): None,
    }

    result = Servers(answers).run(SERVICE, known(ONE))

    assert result.in_part
    assert result.found[key("v2._http._tcp.example.com.", "SRV")].values == ()
    assert result.found[key("web._http._tcp.example.com.", "SRV")].values


def test_addresses_that_cannot_be_had_again_stay() -> None:
    """Warm: both families fail, and both are still there."""
    result = Servers(ONE | {("a.example.com.", "A"): None, ("a.example.com.", "AAAA"): None}).run(
        known=known(ONE)
    )

    assert result.in_part
    assert result.found[key("a.example.com.", "A")].values == tuple(at("10.0.0.1"))


@pytest.mark.parametrize(
    ("absent", "held_until", "asked"),
    [
        ("AAAA", 50.0, {"A"}),
        ("AAAA", 20.0, {"A", "AAAA"}),
        ("A", 50.0, {"AAAA"}),
    ],
)
def test_a_family_known_to_be_absent_is_not_asked_for_again(
    absent: str, held_until: float, asked: set[str]
) -> None:
    """Warm: until that has expired; the other family is."""
    before = {**known(ONE), key("a.example.com.", absent): CachedRRset((), held_until)}
    servers = Servers(ONE)

    servers.run(known=before, now=30.0)

    assert {rdtype for _, rdtype in servers.batches[-1]} == asked


@pytest.mark.parametrize(
    ("held_until", "holds_until"),
    [
        (None, 30.0),
        (30.0 - PASSING + 1, 30.0 - PASSING + 1),
        (30.0 - PASSING, 30.0 + LEFT_ALONE),
    ],
)
def test_a_family_that_nobody_tells_of_is_left_alone(
    held_until: float | None, holds_until: float
) -> None:
    """Warm: where the other one is there, and for a while; but not for trouble that passes."""
    before = dict(known(ONE))
    del before[key("a.example.com.", "AAAA")]
    if held_until:
        before[key("a.example.com.", "AAAA")] = CachedRRset((), held_until)

    result = Servers({**ONE, ("a.example.com.", "AAAA"): None}).run(known=before, now=30.0)

    assert result.found[key("a.example.com.", "AAAA")] == CachedRRset((), holds_until)
    assert not result.in_part
    assert len(result.failures) == 1


@pytest.mark.parametrize("family", ["A", "AAAA"])
def test_what_nobody_tells_of_is_no_family_where_nobody_tells_of_the_other(family: str) -> None:
    """Warm: that other one is but remembered, so that name servers may just be down."""
    before = {k: v for k, v in known(ONE).items() if k != key("a.example.com.", family)}
    answers = ONE | {("a.example.com.", "A"): None, ("a.example.com.", "AAAA"): None}

    result = Servers(answers).run(known=before, now=30.0)

    assert key("a.example.com.", family) not in result.found
    assert result.in_part


@pytest.mark.parametrize(("former", "latter"), [("A", "AAAA"), ("AAAA", "A")])
def test_a_host_may_move_to_the_other_family(former: str, latter: str) -> None:
    """Warm: it is not left without any address until the next look."""
    target = "a.example.com."
    before = known(ONE) | {key(target, latter): CachedRRset((), 50.0)}
    servers = Servers({question: v for question, v in ONE.items() if question != (target, former)})

    result = servers.run(known=before, now=30.0)

    assert servers.batches[-2:] == [{(target, former)}, {(target, latter)}]
    assert result.found[key(target, latter)].values
    assert not result.found[key(target, former)].values


def test_half_an_answer_about_a_new_target_is_not_the_last_word() -> None:
    """Warm: it may have been bad luck, and for some clients the other family is all there is."""
    before = {k: v for k, v in known(ONE).items() if k[1] not in ("A", "AAAA")}

    result = Servers({**ONE, ("a.example.com.", "AAAA"): None}).run(known=before, now=30.0)

    assert key("a.example.com.", "AAAA") not in result.found


def test_a_target_without_any_address_is_asked_about_again() -> None:
    """Warm: one lie when it was first looked up must not last for a negative answer's TTL."""
    before = dict(known(ONE))
    for family in ("A", "AAAA"):
        before[key("a.example.com.", family)] = CachedRRset((), 50.0)
    servers = Servers(ONE)

    servers.run(known=before, now=30.0)

    assert {rdtype for _, rdtype in servers.batches[-1]} == {"A", "AAAA"}


@pytest.mark.parametrize("lost", [False, True])
def test_a_look_up_is_completed_by_the_other_family_alone(lost: bool) -> None:
    """Warm or not, what is known stays, whatever comes of it."""
    answers: Answers = {**ONE, ("a.example.com.", "AAAA"): None} if lost else ONE
    servers = Servers(answers, additional={("a.example.com.", "A"): at("10.0.0.1")})
    before = servers.run().found

    result = servers.complete(before)

    assert servers.batches[1:] == [{("a.example.com.", "AAAA")}]
    assert {question: result.found[question] for question in before} == before
    assert bool(result.found[key("a.example.com.", "AAAA")].values) != lost
    assert len(result.failures) == lost
    assert not result.in_part


def test_the_other_family_is_asked_for_once_something_is_known() -> None:
    """Warm: what additional records left out comes now."""
    servers = Servers(ONE, additional={("a.example.com.", "A"): at("10.0.0.1")})
    before = servers.run().found

    result = servers.run(known=before)

    assert servers.batches[-1] == {("a.example.com.", "AAAA")}
    assert result.found[key("a.example.com.", "AAAA")].values == tuple(at("2001:db8::1"))


@pytest.mark.parametrize(("count", "cut"), [(MAX_INSTANCES - 1, False), (MAX_INSTANCES + 5, True)])
def test_a_huge_service_is_cut_off(count: int, cut: bool) -> None:
    """So much work for one look-up and no more."""
    names = ptr(*(f"i{number}" for number in range(count)))
    servers = Servers({("_http._tcp.example.com.", "PTR"): names})

    result = servers.run(SERVICE)

    assert result.cut == cut
    assert len(servers.batches[1]) == 2 * min(count, MAX_INSTANCES)
