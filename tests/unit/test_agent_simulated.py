"""Whole agents on a virtual clock, over a zone in memory: what they do in the long run."""

import asyncio
import gc
import logging
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from dnssd.agent import own
from dnssd.agent.health import Rules
from dnssd.agent.service import PlainAddress
from dnssd.deadline import Deadline
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Address, Opaque, Txt
from dnssd.registration.joining import join
from dnssd.registration.leaving import leave
from dnssd.registration.operation import Operation
from dnssd.registration.request import Registration
from dnssd.registration.uninstall import Brake, hold_agents_out, uninstall
from dnssd.registration.wish import Departure
from dnssd.rrsets import Change, RRset
from dnssd.services import Service
from kit.simagent import NAME, ORIGIN, World, run, service

HOUR = 3600.0


def test_a_dead_service_is_gone_in_time_and_comes_back() -> None:
    """At most fall x interval x 1.1 and one write, whenever it dies."""

    async def story(world: World) -> None:
        await world.agent(service(80, rules=Rules(2, 3, 30)))
        await world.until(lambda: world.published() == {80})
        for _ in range(10):
            await asyncio.sleep(700 + random.Random(0).random() * 5)
            world.verdicts[80] = "fail"
            assert await world.until(lambda: world.published() == set()) <= 3 * 5 * 1.1 + 1
            world.verdicts[80] = "pass"
            assert await world.until(lambda: world.published() == {80}) <= 15

    run(story)


def test_an_idle_agent_asks_nothing_of_the_api() -> None:
    """A day in which nothing happens costs the requests of its first minute."""

    async def story(world: World) -> None:
        await world.agent(*(service(port, interval=60.0) for port in range(80, 84)))
        await world.until(lambda: len(world.published()) == 4)
        before = len(world.asked)
        await asyncio.sleep(24 * HOUR)
        assert len(world.asked) == before

    run(story)


def test_the_member_record_says_that_an_agent_answers_for_it() -> None:
    """By the id of this very announcement: others cannot inherit the word."""

    async def story(world: World) -> None:
        await world.agent(service(80))
        await world.until(lambda: world.published() == {80})
        assert world.member(80).has_agent

    run(story)


def test_what_is_lost_is_noticed_and_joined_again() -> None:
    """The zone is made anew, or another tool overwrites it: within two looks it is there."""

    async def story(world: World) -> None:
        agent = await world.agent(service(80), service(81))
        await world.until(lambda: world.published() == {80, 81})
        written = world.loop.time()
        await asyncio.sleep(HOUR)
        # what is asked for too early a resolver remembers as absent, for minutes
        assert world.looks[0] >= written + own.SETTLING - 5
        world.lose_everything()
        assert await world.until(lambda: world.published() == {80, 81}) <= own.LOOKS * 70 + 5
        counts = [p.counts["lost"] for each in agent.services for p in each.publications]
        assert counts == [1, 1]

    run(story)


def test_the_plain_name_is_seen_to_at_first_and_with_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not again with each change; what is in its way is told once."""
    plain = (ORIGIN.child(b"_http", b"_tcp", b"web"), "CNAME")
    other = RRset(plain[0], "CNAME", 60, (Opaque("CNAME", "elsewhere.example.com."),))

    async def story(world: World) -> None:
        await world.agent(service(80, plain_name=True))
        await world.until(lambda: plain in world.zone.states[-1])
        world.lose_everything()
        await world.until(lambda: plain in world.zone.states[-1])
        assert "plain name" not in caplog.text
        world.zone.states.append({plain: other})
        await world.until(lambda: world.published() == {80})
        world.verdicts[80] = "fail"
        await world.until(lambda: world.published() == set())
        world.verdicts[80] = "pass"
        await world.until(lambda: world.published() == {80})
        assert world.zone.states[-1][plain] == other

    run(story)
    assert caplog.text.count("plain name not written: there is CNAME") == 1


def test_name_servers_that_are_behind_cost_ever_fewer_requests() -> None:
    """Where DNS never shows the record, it is asked for by the API ever more rarely."""

    async def story(world: World) -> None:
        agent = await world.agent(service(80, interval=60.0))
        await world.until(lambda: world.published() == {80})
        before = len(world.asked)

        async def nothing(*arguments: object) -> own.Seen:
            return own.Seen(None, frozenset())

        around = agent.services[0].publications[0]._around
        agent.services[0].publications[0]._around = replace(around, look=nothing)
        await asyncio.sleep(24 * HOUR)
        assert len(world.asked) - before < 40

    run(story)


def test_what_was_taken_out_on_purpose_stays_out_until_it_is_joined_there() -> None:
    """Somebody's hold is obeyed, and told; a join by hand ends it."""

    async def story(world: World) -> None:
        agent = await world.agent(service(80))
        await world.until(lambda: world.published() == {80})
        await asyncio.sleep(200)
        record = world.zone.states[-1][NAME.child(b"i-0-80"), "TXT"]
        srv = world.zone.states[-1][NAME, "SRV"]
        (txt,) = record.values
        assert isinstance(txt, Txt)
        member = Member.from_txt(b"i-0-80", txt)
        held = Txt((*member.leaving().to_txt().strings, f"hold={member.id}".encode()))
        deadline = Deadline(1.0)
        world.zone.commit(
            (Change(record, record.with_values((held,))), Change(srv, None)), deadline
        )
        publication = agent.services[0].publications[0]
        await world.until(lambda: publication.held)
        await asyncio.sleep(HOUR)
        assert world.published() == set()
        world.verdicts[80] = "fail"
        await asyncio.sleep(HOUR)
        world.verdicts[80] = "pass"
        await asyncio.sleep(HOUR)
        assert world.published() == set()

        now = world.zone.states[-1][NAME.child(b"i-0-80"), "TXT"]
        world.zone.commit((Change(now, record), Change(None, srv)), deadline)
        await world.until(lambda: not publication.held)
        world.verdicts[80] = "fail"
        await world.until(lambda: world.published() == set())

    run(story)


@pytest.mark.parametrize("age", [1, 60, 1000])
def test_a_service_that_is_uninstalled_stays_out(age: float) -> None:
    """Its agent has heard of it by the time that its records are removed, whatever its age."""

    async def story(world: World) -> None:
        await world.agent(service(80))
        await world.until(lambda: world.published() == {80})
        await asyncio.sleep(age)
        now = (datetime.now(UTC) + timedelta(seconds=age)).replace(microsecond=0)
        begin = partial(Operation, world.zone, Deadline(1.0), now=lambda: now)
        await asyncio.sleep(hold_agents_out(begin(), Service.parse("http"), Brake()))
        assert not uninstall(begin(), Service.parse("http"), Brake()).stayed
        await asyncio.sleep(HOUR)
        assert world.zone.states[-1] == {}

    run(story)


@pytest.mark.parametrize("removed", [False, True])
def test_a_restart_does_not_forget_that_somebody_wants_it_out(removed: bool) -> None:
    """Whether the record still says so or is gone; a join by hand ends it, also elsewhere."""

    async def story(world: World) -> None:
        agent = await world.agent(service(80), service(81))
        await world.until(lambda: world.published() == {80, 81})
        forced = Departure.of(
            ORIGIN, "http", instance="web", host="i-0", port=80, owner="x", force=True
        )
        leave(Operation(world.zone, Deadline(9)), forced)
        if removed:
            await world.until(lambda: agent.services[0].publications[0].held)
            leave(Operation(world.zone, Deadline(9)), forced)
        await world.restart(service(80), service(81))
        await asyncio.sleep(HOUR)
        assert world.published() == {81}

        registration = Registration(
            service="http", instance="web", host="i-0", port=80, addresses=["10.0.0.5"]
        )
        join(Operation(world.zone, Deadline(9)), registration.wish_in(ORIGIN))
        await asyncio.sleep(HOUR)
        assert world.member(80).has_agent
        world.verdicts[80] = "fail"
        await world.until(lambda: world.published() == {81})
        world.verdicts[80] = "pass"
        await world.until(lambda: world.published() == {80, 81})

    run(story)


def test_who_ends_without_leaving_answers_for_it_no_more() -> None:
    """The member stays as it is, and its record has no agent."""

    async def story(world: World) -> None:
        agent = await world.agent(service(80, weight=7))
        await world.until(lambda: world.published() == {80})
        assert world.member(80).has_agent
        await agent.part()
        assert not world.member(80).has_agent
        assert world.weights() == {80: 7}

    run(story)


def test_a_lease_is_renewed_in_time() -> None:
    """Once a third of it is over, by one swap; while the service is out it is not."""

    async def story(world: World) -> None:
        await world.agent(service(80, lease=900))
        await world.until(lambda: world.published() == {80})
        first, before = world.member(80), len(world.zone.states)
        for _ in range(20):
            await asyncio.sleep(300)
            until = world.member(80).until
            assert until
            assert until - world.now() > timedelta(seconds=500)
        assert world.member(80).id == first.id
        assert len(world.zone.states) - before <= 21
        world.verdicts[80] = "fail"
        await world.until(lambda: world.published() == set())
        before = len(world.asked)
        await asyncio.sleep(HOUR)
        assert len(world.asked) == before

    run(story)


def test_an_hour_without_the_api_loses_nothing() -> None:
    """Wishes are kept, probing goes on, and the API is asked about once a minute."""

    async def story(world: World) -> None:
        await world.agent(service(80), service(81), service(82))
        await world.until(lambda: world.published() == {80, 81, 82})
        await asyncio.sleep(300)
        world.api_works = False
        world.verdicts[80] = "fail"
        await asyncio.sleep(HOUR / 2)
        world.verdicts[81] = "fail"
        world.verdicts[80] = "pass"
        before = len(world.asked)
        await asyncio.sleep(HOUR / 2)
        assert len(world.asked) - before <= 2 * 30
        assert world.published() == {80, 81, 82}
        world.api_works = True
        assert await world.until(lambda: world.published() == {80, 82}) <= 130

    run(story)


def test_without_name_servers_nothing_is_written() -> None:
    """That nobody answers does not mean that the records are gone."""

    async def story(world: World) -> None:
        await world.agent(service(80))
        await world.until(lambda: world.published() == {80})
        before = len(world.asked)
        world.dns_works = False
        await asyncio.sleep(HOUR)
        assert len(world.asked) == before

    run(story)


def test_a_new_configuration_touches_only_what_has_changed() -> None:
    """Another weight is a write, another check is none; what is gone leaves, what is new joins."""

    async def story(world: World) -> None:
        agent = await world.agent(service(80), service(81), service(82))
        await world.until(lambda: world.published() == {80, 81, 82})
        kept = {each.service.port: each for each in agent.services}
        before = len(world.asked)
        await agent.reload([service(80), service(81, weight=7), service(83), service(84)])
        await world.until(lambda: world.published() == {80, 81, 83, 84})
        await asyncio.sleep(60)
        assert sorted(op for _, op in world.asked[before:]) == ["join", "join", "join", "leave"]
        assert {each.service.port for each in agent.services} == {80, 81, 83, 84}
        assert all(each is kept[each.service.port] for each in agent.services[:2])
        assert world.weights() == {80: 100, 81: 7, 83: 100, 84: 100}

    run(story)


def test_an_agent_that_starts_again_writes_nothing_that_is_there() -> None:
    """After a restart its join finds everything as it should be."""

    async def story(world: World) -> None:
        await world.agent(service(80))
        await world.until(lambda: world.published() == {80})
        states = len(world.zone.states)
        await world.restart(service(80))
        await asyncio.sleep(HOUR)
        assert len(world.zone.states) == states

    run(story)


def test_a_day_of_changes_leaves_memory_as_it_was() -> None:
    """Services that come and go: what is kept does not grow, by not one object a change."""
    logging.getLogger("dnssd").setLevel(logging.CRITICAL)  # pytest keeps each line
    gc.collect()
    gc.freeze()  # what other tests have made does not count

    async def story(world: World) -> None:
        ports, rules = range(80, 84), Rules(1, 1, 0)
        await world.agent(*(service(port, rules=rules, interval=60.0) for port in ports))
        dice, counts = random.Random(1), []
        for _ in range(24):
            for _ in range(3):
                world.verdicts[dice.choice(ports)] = dice.choice(["pass", "fail"])
                await asyncio.sleep(900)
            world.verdicts.clear()
            await asyncio.sleep(900)
            assert world.published() == set(ports)
            del world.zone.states[:-1], world.asked[:]
            gc.collect()
            # what asyncio has cancelled it forgets later
            counts.append(sum(not isinstance(each, asyncio.Handle) for each in gc.get_objects()))
        # the least of each half: other threads may add for a moment, what is kept adds for ever
        assert min(counts[12:]) < min(counts[4:12]) + 8, counts

    run(story)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_in_the_end_the_healthy_ones_are_published(seed: int) -> None:
    """Services that come and go, an API and name servers that come and go, a zone made anew."""

    async def story(world: World) -> None:
        dice = random.Random(seed)
        await world.agent(*(service(port, rules=Rules(1, 2, 0)) for port in range(80, 85)))
        for _ in range(40):
            world.verdicts[dice.randrange(80, 85)] = dice.choice(["pass", "fail", "maintenance"])
            world.api_works = dice.random() < 0.7
            world.dns_works = dice.random() < 0.8
            if dice.random() < 0.05:
                world.lose_everything()
            await asyncio.sleep(dice.random() * 120)
        world.api_works = world.dns_works = True
        await asyncio.sleep(2 * HOUR)
        good = {port for port in range(80, 85) if world.verdicts.get(port, "pass") == "pass"}
        assert world.published() == good

    run(story, seed)


def test_a_plain_address_is_there_while_its_host_is_healthy() -> None:
    """What was written by hand stays; what is lost comes back; a drain lets clients go first."""
    www = Name.parse("www.example.test.")
    by_hand = RRset(www, "A", 60, (Address.parse("203.0.113.9"),))
    offer = PlainAddress(
        plain_name="www.example.test",
        zones=("example.test",),
        port=443,
        addresses=("192.0.2.7", "2001:db8::7"),
        drain=300,
    )
    ours = {"192.0.2.7", "2001:db8::7"}

    async def story(world: World) -> None:
        world.zone.states.append({(www, "A"): by_hand})
        agent = await world.agent(offer)
        await world.until(lambda: world.addresses(www) == {"203.0.113.9", *ours})
        world.verdicts[443] = "fail"
        assert await world.until(lambda: world.addresses(www) == {"203.0.113.9"}) <= 3 * 5 * 1.1 + 1
        world.verdicts[443] = "pass"
        await world.until(lambda: world.addresses(www) >= ours)
        world.lose_everything()
        await world.until(lambda: world.addresses(www) == ours)
        agent.services[0].let("drained")
        await asyncio.sleep(HOUR)
        assert world.addresses(www) == ours
        before = world.loop.time()
        world.ending.set()
        leaving = asyncio.create_task(agent.leave(drain=True))
        await world.until(lambda: world.addresses(www) == set())
        await leaving
        assert 60 <= world.loop.time() - before <= 65

    run(story)
