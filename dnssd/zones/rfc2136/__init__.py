"""Zones on servers that take signed updates: BIND, Knot, PowerDNS (RFC 2136, RFC 8945).

keyfile     the key that signs
messages    questions and updates as messages, and what answers hold; pure
index       who is a member, where no server lists names; pure
verdict     what an answer or a broken connection means
connection  messages over TCP, many at a time
zone        the zone itself
"""
