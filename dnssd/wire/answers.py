"""INTERIM: to be overwritten by the owner of this file."""

from dataclasses import dataclass, replace
from dnssd.names import Name
from dnssd.records import Rdata, MAX_TTL
from dnssd.wire.message import Message, Record, RCODES, NUMBERS


class NoAnswer(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Answer:
    values: tuple[Rdata, ...]
    ttl: int = MAX_TTL
    alias: Name | None = None
    signed: bool = True
    additional: tuple[Record, ...] = ()


def read_answer(message: Message) -> Answer:
    if message.rcode not in (0, 3):
        raise NoAnswer(RCODES[message.rcode] if message.rcode < 6 else str(message.rcode))
    if message.truncated:
        raise NoAnswer("an answer cut short")
    name, number = message.question
    rdtype = {v: k for k, v in NUMBERS.items()}[number]
    ttl = MAX_TTL
    for _ in range(16):
        values = [r for r in message.answer if r.name == name and r.rdtype == rdtype]
        if values:
            return Answer(
                tuple(dict.fromkeys(r.data for r in values)),
                min([ttl] + [r.ttl for r in values]),
                additional=tuple(r for r in message.additional if r.rdtype in ("A", "AAAA")),
            )
        c = [r for r in message.answer if r.name == name and r.rdtype == "CNAME"]
        if not c:
            break
        name = c[0].data
        ttl = min(ttl, c[0].ttl)
    soa = [r for r in message.authority if r.rdtype == "SOA"]
    if soa:
        return Answer((), min(ttl, soa[0].ttl, soa[0].data))
    if ttl != MAX_TTL and message.rcode == 0:
        return Answer((), ttl, alias=name)
    if any(r.rdtype == "NS" for r in message.authority):
        raise NoAnswer("a referral")
    return Answer((), ttl, signed=False)
