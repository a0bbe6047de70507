import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnssd.errors import MalformedName
from dnssd.names import MAX_NAME, Name, display, shown, split_labels, unescape

LABELS = st.binary(min_size=1, max_size=63)
NAMES = (
    st.lists(LABELS, max_size=8)
    .map(tuple)
    .filter(lambda labels: sum(len(label) + 1 for label in labels) < MAX_NAME)
    .map(Name)
)
SHORT_NAMES = st.lists(st.binary(min_size=1, max_size=20), max_size=4).map(tuple).map(Name)


@given(NAMES)
def test_every_text_form_reads_back_with_its_case(name: Name) -> None:
    """`str` and `master` are read to the very same labels."""
    assert Name.parse(str(name)).labels == name.labels
    assert Name.parse(name.master()).labels == name.labels


@given(NAMES)
def test_forms_for_programs_are_ascii_and_the_one_for_people_cannot_move_a_cursor(
    name: Name,
) -> None:
    """Master files get plain ASCII; a terminal gets printable text."""
    assert set(name.master()) <= set(map(chr, range(0x21, 0x7F)))
    assert str(name).isprintable()


@given(st.text())
def test_any_text_is_a_name_or_a_clear_error(text: str) -> None:
    """Nothing but MalformedName comes out of text that is no name, on one printable line."""
    try:
        name = Name.parse(text)
    except MalformedName as error:
        message = str(error)
    else:
        message = str(name)
        assert Name.parse(message).labels == name.labels
    assert message.isprintable()


@given(st.text(alphabet="a.\\0123456789é\x00"))
def test_escapes_in_any_arrangement_are_read_or_refused(text: str) -> None:
    """Backslashes, digits and dots never break the reader."""
    try:
        labels = split_labels(text)
    except MalformedName:
        return
    assert b".".join(labels) == unescape(text)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (".", ()),
        ("example.com", (b"example", b"com")),
        ("example.com.", (b"example", b"com")),
        (r"a\.b.example.", (b"a.b", b"example")),
        (r"a\\b.", (b"a\\b",)),
        (r"a\046b.", (b"a.b",)),
        (r"\000\255.", (b"\x00\xff",)),
        ("Café Köln.", ("Café Köln".encode(),)),
        ("a b.", (b"a b",)),
    ],
)
def test_text_becomes_labels(text: str, labels: tuple[bytes, ...]) -> None:
    """Dots part labels unless escaped; non-ASCII text is UTF-8, never IDNA."""
    assert Name.parse(text).labels == labels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a..b",
        ".a",
        "a..",
        "a\\",
        "\\1",
        "\\12",
        "\\256",
        "a" * 64,
        ".".join(["a" * 63] * 4),
        "\ud800",
        "example.com\n",
        "a\tb.example.com",
        "caf\u00e9\x7f.example.com",
        b"example.com",
        None,
    ],
)
def test_illegal_names_are_refused(text: str) -> None:
    """Empty, overlong, broken escapes, lone surrogates, a line break read along, no text."""
    with pytest.raises(MalformedName, match=r": .*;"):
        Name.parse(text)


def test_the_longest_name_is_255_octets() -> None:
    """Length octets and the root count (RFC 1035 section 2.3.4)."""
    longest = Name((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61))

    assert Name.parse(str(longest)) == longest
    with pytest.raises(MalformedName, match="256 octets"):
        Name((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 62))


@given(SHORT_NAMES)
def test_names_are_compared_without_case(name: Name) -> None:
    """Only ASCII letters have case (RFC 4343); hashes agree."""
    other = Name(tuple(label.swapcase() for label in name.labels))

    assert other == name
    assert hash(other) == hash(name)


def test_other_letters_have_no_case() -> None:
    """`É` and `é` are different labels, and a name equals nothing that is no name."""
    assert Name.parse("É.") != Name.parse("é.")
    assert Name.parse("a.") != "a."


@given(SHORT_NAMES, SHORT_NAMES)
def test_below_and_relative_are_inverse_of_child(name: Name, origin: Name) -> None:
    """A child is below its origin, and what it has more is what was put before it."""
    child = origin.child(*name.labels)

    assert child.is_below(origin)
    assert child.relative_to(origin) == name.labels


def test_a_longer_label_is_not_a_subdomain() -> None:
    """`badexample.com` is not in `example.com`, nor is `example.com` in `a.example.com`."""
    origin = Name.parse("example.com")

    for text in ("badexample.com", "com", ".", "example.org"):
        assert not Name.parse(text).is_below(origin)
        with pytest.raises(MalformedName, match="not below"):
            Name.parse(text).relative_to(origin)


def test_parents_end_at_the_root() -> None:
    """The parent drops the first label; the root is its own."""
    assert Name.parse("a.b.").parent == Name.parse("b.")
    assert Name(()).parent == Name(())


@given(st.lists(SHORT_NAMES, max_size=20), SHORT_NAMES)
def test_descendants_follow_their_ancestor_directly(names: list[Name], ancestor: Name) -> None:
    """In order, nothing foreign stands between a name and its descendants."""
    ordered = sorted({*names, ancestor})
    below = [at for at, name in enumerate(ordered) if name.is_below(ancestor)]

    assert ordered[below[0]] == ancestor
    assert below == list(range(below[0], below[-1] + 1))


@given(st.binary(max_size=63))
def test_a_displayed_label_reads_back(label: bytes) -> None:
    """What people see can be typed again."""
    assert unescape(display(label)) == label


@given(st.text())
def test_quoted_texts_are_short_and_printable(text: str) -> None:
    """An error message may hold any caller's text without harm to a terminal."""
    assume(text)
    assert shown(text).isprintable()
    assert len(shown("x" * 1000)) < 80
