import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnssd.errors import MalformedName
from dnssd.names import Name, display
from dnssd.services import (
    Service,
    ServiceName,
    instance_label,
    instance_text,
    parse_host_label,
    parse_instance,
    parse_service_name,
)

DOMAIN = Name.parse("example.com.")

SERVICE_NAMES = st.from_regex(
    r"\A[a-zA-Z0-9]{1,5}(-[a-zA-Z0-9]{1,4}){0,2}\Z", fullmatch=False
).filter(lambda name: any(c.isalpha() for c in name) and name.lower() not in ("tcp", "udp"))
SERVICES = st.builds(Service, SERVICE_NAMES, st.sampled_from(["tcp", "udp"]))
INSTANCES = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=63)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: 1 <= len(text.encode()) <= 63)
)
DOMAINS = st.lists(st.from_regex(r"\A[a-z0-9-]{1,20}\Z"), min_size=0, max_size=4).map(
    lambda labels: Name(tuple(label.encode() for label in labels))
)


@given(SERVICES)
def test_service_types_read_back(service: Service) -> None:
    """Text and labels say the same; the protocol's case does not count."""
    assert Service.parse(str(service)) == service
    assert b".".join(service.labels).decode() == str(service)
    assert Service.parse(f"_{service.name}._{service.protocol.upper()}") == service


def test_a_bare_name_is_tcp() -> None:
    """`http` is short for `_http._tcp`."""
    assert Service.parse("http") == Service("http", "tcp") == Service.parse("_http._tcp")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_",
        "_._tcp",
        "_http",
        "_http.",
        "_http._sctp",
        "_http.tcp",
        "http._tcp",
        "_http._tcp.example.com",
        "_sixteen-letters1._tcp",
        "_-http._tcp",
        "_http-._tcp",
        "_ht--tp._tcp",
        "_123._tcp",
        "_ht_tp._tcp",
        "_café._tcp",
        "_http\n._tcp",
        "__http._tcp",
    ],
)
def test_illegal_service_types_are_refused(text: str) -> None:
    """RFC 6335 section 5.1: 1 to 15 letters, digits and inner hyphens, one letter at least."""
    with pytest.raises(MalformedName):
        Service.parse(text)


def test_an_unknown_protocol_is_refused() -> None:
    """A service is `_tcp` or `_udp`, also where no text was parsed."""
    with pytest.raises(MalformedName, match="_tcp or _udp"):
        Service("http", "sctp")


def test_where_clients_browse() -> None:
    """The service's own name, and the one that lists all services (RFC 6763 section 9)."""
    assert str(Service("http").in_domain(DOMAIN)) == "_http._tcp.example.com."
    assert str(Service("http").enumeration_in(DOMAIN)) == "_services._dns-sd._udp.example.com."


@given(INSTANCES, SERVICES, DOMAINS)
def test_an_instance_reads_back_from_its_name(
    instance: str, service: Service, domain: Name
) -> None:
    """Whatever dots, spaces, backslashes and letters an instance holds, its name tells it."""
    asked = ServiceName(service, domain, instance=instance)

    assert asked.name.labels[0] == instance.encode()
    assert parse_service_name(str(asked.name)) == asked
    assert parse_service_name(asked.name.master()) == asked


@given(SERVICES, DOMAINS, st.from_regex(r"\A_?[a-z0-9]{1,20}\Z"))
def test_services_and_subtypes_read_back(service: Service, domain: Name, subtype: str) -> None:
    """A name without an instance is a service, one below `_sub` a subtype of it."""
    plain = ServiceName(service, domain)
    narrowed = ServiceName(service, domain, subtype=subtype)

    assert parse_service_name(str(plain.name)) == plain
    assert parse_service_name(str(narrowed.name)) == narrowed


@given(st.text())
def test_any_text_is_a_service_name_or_a_clear_error(text: str) -> None:
    """Nothing but MalformedName comes out of a text that is none."""
    for given_text in (text, f"{text}._http._tcp.example.com", f"_http._tcp.{text}"):
        try:
            asked = parse_service_name(given_text, DOMAIN)
            again = parse_service_name(str(asked.name))
        except MalformedName as error:
            message = str(error)
        else:
            assert again == asked
            continue
        assert message.isprintable()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("http", "_http._tcp.example.com."),
        ("_http._tcp", "_http._tcp.example.com."),
        ("v1._http._tcp", "v1._http._tcp.example.com."),
        ("_http._tcp.", "_http._tcp."),
        ("_http._tcp.example.org", "_http._tcp.example.org."),
        ("My.Web Server._http._tcp.example.org", r"My\.Web Server._http._tcp.example.org."),
        (r"My\.Web Server._http._tcp.example.org.", r"My\.Web Server._http._tcp.example.org."),
        ("_printer._sub._http._tcp", "_printer._sub._http._tcp.example.com."),
        ("V1._HTTP._TCP.Example.ORG", "V1._HTTP._tcp.Example.ORG."),
        ("billing-invoice-api", "_billing-invoice-api._tcp.example.com."),
        ("_sipfederationtls._tcp.example.org", "_sipfederationtls._tcp.example.org."),
        ("_web_app._tcp", "_web_app._tcp.example.com."),
        ("_sip._tls", "_sip._tls.example.com."),
        ("_sip._tls.example.org", "_sip._tls.example.org."),
        ("_rabbitmq._amqp.service.consul", "_rabbitmq._amqp.service.consul."),
        ("web.service.consul", "web.service.consul."),
        ("rfc822.mail.example.org.", "rfc822.mail.example.org."),
        (r"\255._http._tcp.example.org", r"\255._http._tcp.example.org."),
        (r"a\010b._http._tcp.example.org", r"a\010b._http._tcp.example.org."),
    ],
)
def test_relative_and_absolute_names(text: str, name: str) -> None:
    """Absolute behind a last dot or a domain, else in the given domain."""
    assert str(parse_service_name(text, DOMAIN).name) == name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http", "no domain; add it to the name"),
        ("v1._http._tcp", "no domain"),
        ("example.com", "no service type"),
        ("http.", "no service type"),
        ("web.http", "no service type"),
        ("example.com.", "no service type"),
        ("", "no such characters"),
        ("no service", "no such characters"),
        ("_tcp.example", "no service type"),
        ("._http._tcp.example.com", "a label is empty"),
        ("a" * 64 + "._http._tcp.example.com", "64 octets"),
    ],
)
def test_what_is_no_service_name_is_refused(text: str, why: str) -> None:
    """Each refusal says what is missing."""
    with pytest.raises(MalformedName, match=why):
        parse_service_name(text)


@given(st.binary(min_size=1, max_size=63))
@example(b"back\\slash")
@example(b"a\\032b")
@example(b"_http._tcp")
@example(b"sub._sub")
@example(b"tab\tname")
@example(b"\xff")
@example("Cafe\u0301".encode())
def test_what_is_shown_of_an_instance_finds_it_again(label: bytes) -> None:
    """Whatever label DNS holds: what browse prints, lookup takes."""
    text = instance_text(label)

    assert text.isprintable()
    asked = parse_service_name(f"{text}._http._tcp.example.com")
    assert asked.name.labels[0] == label
    assert parse_service_name(asked.name.master()) == asked


def test_instances_are_shown_as_they_are_called() -> None:
    """Nothing is escaped that need not be."""
    for name in ("web", "My.Web Server", "Café", "a_b", "v1.2"):
        assert instance_text(name.encode()) == name


def test_only_text_is_a_name() -> None:
    """A mistake of a program, told as such."""
    for wrong in (b"_http._tcp.example.com", None, 5):
        with pytest.raises(MalformedName, match="not a text"):
            parse_service_name(wrong)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize("text", ["_sip._tls", "_web_app._tcp", "_sixteen-letters1._tcp"])
def test_what_look_ups_take_joins_refuse(text: str) -> None:
    """Names that exist in the world are found; new ones follow RFC 6335."""
    service = parse_service_name(text, DOMAIN).service

    assert str(service) == text
    assert not isinstance(service, Service)
    with pytest.raises(MalformedName):
        Service.parse(text)


@given(INSTANCES)
def test_instances_are_raw_utf_8_in_composed_form(instance: str) -> None:
    """However it is typed, one instance has one label, never IDNA (RFC 6763 section 4.3)."""
    decomposed = unicodedata.normalize("NFD", instance)

    assert instance_label(decomposed) == instance_label(instance) == instance.encode()


@pytest.mark.parametrize("text", ["", "\x00", "a\nb", "\x7f", "é" * 32, "\ud800"])
def test_illegal_instances_are_refused(text: str) -> None:
    """Empty, control characters, over 63 octets, not UTF-8."""
    with pytest.raises(MalformedName):
        parse_instance(text)


@pytest.mark.parametrize("text", ["i-0abc", "web_1", "a", "A9", "0", "a" * 57, "_x"])
def test_host_labels_are_kept_as_they_are(text: str) -> None:
    """Letters, digits, hyphens and underscores, at most 57 octets."""
    assert parse_host_label(text) == text


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "a.b", "a b", "é", "a" * 58, "a\n", "*", "_tcp", "_UDP"]
)
def test_illegal_host_labels_are_refused(text: str) -> None:
    """They could not stand in a host name, or leave no room for a port."""
    with pytest.raises(MalformedName):
        parse_host_label(text)


def test_a_display_of_an_instance_never_splits_it() -> None:
    """Dots in the label are escaped where the name is shown."""
    assert display(instance_label("a.b")) == r"a\.b"
