"""Records of a CSV text: whatever is quoted and wherever the chunks end, each comes back byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from churn.core.csv_records import pick_records

plain = st.text("ab ,é€", max_size=6)
quoted = st.text('a,"\r\né', max_size=6).map(lambda text: '"' + text.replace('"', '""') + '"')
records = st.lists(st.one_of(plain, quoted), min_size=1, max_size=4).map(lambda parts: "".join(parts).encode())
texts = st.tuples(
    st.lists(records.filter(bool), min_size=1, max_size=12), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans()
)


def in_chunks(text: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(text[:size])
        text = text[size:]
    return [*chunks, text]


@given(texts, st.lists(st.integers(1, 9), max_size=40))
def test_every_record_comes_back_as_it_was(built: tuple[list[bytes], bytes, bool], sizes: list[int]) -> None:
    expected, line_end, ended = built
    text = line_end.join(expected) + (line_end if ended else b"")
    found = list(pick_records(in_chunks(text, sizes), range(1, 100)))
    assert found == list(enumerate(expected, start=1))


@given(texts, st.sets(st.integers(1, 14)), st.lists(st.integers(1, 9), max_size=40))
def test_only_the_records_asked_for_come_back(
    built: tuple[list[bytes], bytes, bool], numbers: set[int], sizes: list[int]
) -> None:
    expected, line_end, _ = built
    found = dict(pick_records(in_chunks(line_end.join(expected), sizes), sorted(numbers)))
    assert found == {number: expected[number - 1] for number in numbers if number <= len(expected)}


def test_the_chunks_are_read_to_their_end_whatever_is_asked_for() -> None:
    read = []

    def chunks():  # type: ignore[no-untyped-def]
        for number in range(50):
            read.append(number)
            yield b"a,b\n" * 10

    assert list(pick_records(chunks(), [2])) == [(2, b"a,b")]
    assert len(read) == 50


def test_a_text_without_any_record_has_none() -> None:
    assert list(pick_records([], [1])) == []
    assert list(pick_records([b""], [1])) == []
