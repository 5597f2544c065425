"""Lists of words in the forms in which people keep them: understood, or refused with the line."""

import contextlib
import json
import logging
from pathlib import Path

import pytest

from unlearning_core.concepts.words import Concept, as_list, parse_words, read_list, read_words
from unlearning_core.errors import InputError

THREE = ("chair", "sofa", "bench")


@pytest.mark.parametrize(
    "text",
    [
        '["chair", "sofa", "bench"]',
        '[\n  "chair",\n  "sofa",\n  "bench"\n]\n',
        '{"words": ["chair", "sofa", "bench"]}',
        '{"concept": ["chair", "sofa", "bench"], "version": 2}',
        '{"chair": 12, "sofa": 3, "bench": 0.5}',
        '[{"word": "chair"}, {"word": "sofa", "count": 3}, {"word": "bench"}]',
        '[["chair", 12], ["sofa", 3], ["bench", 1]]',
        '{"word": "chair"}\n{"word": "sofa", "lang": "en"}\n\n{"word": "bench"}\n',
        '{"lemma": "chair"}\n{"lemma": "sofa"}\n{"lemma": "bench"}',
        "chair;sofa;bench",
        "chair;sofa\nbench",
        "chair; sofa, bench",
        "chair | sofa | bench",
        "chair\tsofa\tbench",
        "chair\t12\nsofa\t3\nbench\t1\n",
        "1\tchair\n2\tsofa\n3\tbench\n",
        "1\tchair\t0.5\n2\tsofa\t0.25\n3\tbench\t0.1",
        "chair,12\nsofa,3\nbench,1",
        "chair: 12\nsofa: 3\nbench: 1",
        "     12 chair\n      3 sofa\n      1 bench\n",
        "word\tcount\nchair\t12\nsofa\t3\nbench\t1",
        "id;word\n1;chair\n2;sofa\n3;bench\n",
        "1. chair\n2. sofa\n3. bench\n",
        "1) chair\n2) sofa\n3) bench\n",
        "(1) chair\n(2) sofa\n(3) bench\n",
        "- chair\n- sofa\n- bench",
        "* chair\n\t* sofa\n• bench",
        "- [ ] chair\n- [x] sofa\n- [ ] bench",
        "[ ] chair\n[x] sofa\n[ ] bench",
        "words:\n  - chair\n  - sofa\n  - bench\n",
        "chair  # a seat\nsofa\nbench # for two\n",
        "chair // a seat\nsofa\n// the last\nbench",
        "# seats\nchair\n## and more\nsofa\nbench",
        "chair\t# a seat\nsofa\nbench",
        '"chair"\n"sofa"\n"bench"',
        "'chair', 'sofa', 'bench'",
        '"chair", "sofa", "bench",',
        "“chair”\n„sofa“\n«bench»",
        "chair.\nsofa!\nbench?",
        "chair,\nsofa,\nbench,\n",
        "chair\r\nsofa\r\n\r\nbench\r\n",
        "chair\rsofa\rbench",
        "chair\n-----\nsofa\n\nbench",
        "a) chair\nb) sofa\nc) bench",
        "I. chair\nII. sofa\nIII. bench",
        "① chair\n② sofa\n③ bench",
        "1.\tchair\n2.\tsofa\n3.\tbench",
        "– chair\n– sofa\n– bench",
        "chair (12)\nsofa (3)\nbench (1)",
        "chair = 12\nsofa = 3\nbench = 1",
        "chair、sofa，bench",
        "chair، sofa؛ bench",
        '{"concept": "chair", "words": ["sofa", "bench"], "version": 2, "lang": "en"}',
        '{"concept": "chair", "synonyms": ["sofa", "bench"]}',
        '{"words": {"chair": 3, "sofa": 2, "bench": 1}}',
        '{"0": "chair", "1": "sofa", "2": "bench"}',
        '{"word": {"0": "chair", "1": "sofa", "2": "bench"}}',
        '[{"word": "chair", "forms": ["sofa", "bench"], "count": 3}]',
        '{"word": "chair", "variants": "sofa, bench"}\n{"word": "bench"}',
        '["chair"]\n["sofa"]\n["bench"]',
        '["chair, sofa", "bench"]',
        '["1. chair", "2. sofa", "3. bench"]',
        '{"words": "chair, sofa\\nbench"}',
        '{"1. chair": 3, "2. sofa": 2, "3. bench": 1}',
        "1.chair\n2.sofa\n3.bench",
        "１．chair\n２．sofa\n３．bench",
        "1、chair\n2、sofa\n3、bench",
        "一、chair\n二、sofa\n三、bench",
        "seats:\n1. chair\n2. sofa\nmore:\n1. bench",
        "1. chair\n1. sofa\n1. bench",
        "Words to forget:\nchair\nsofa\nbench",
        "word\nchair\nsofa\nbench",
        "Word List\nchair\nsofa\nbench",
        "chair:\nsofa:\nbench:",
        "`chair`\n`sofa`, `bench`",
        "「chair」\n『sofa』\n【bench】",
        "・chair\n・ sofa\n・bench",
        "☐ chair\n☑ sofa\n☐ bench",
        "chair...\nsofa…\nbench",
        "+-----+\n|chair|\n|sofa |\n|bench|\n+-----+",
    ],
)
def test_every_form_of_a_list_gives_its_words(tmp_path: Path, text: str) -> None:
    assert parse_words(text) == THREE
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = tmp_path / "words.txt"
        path.write_bytes(text.encode(encoding))
        assert read_words(path) == THREE


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize(
    "text",
    ["chair,3\nsofa,2\nbench,1\n", "word;n\nchair;3\nsofa;2\nbench;1", "chair\nsofa\nbench", "chair,sofa,bench"],
)
def test_tables_with_and_without_a_header(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"words{suffix}"
    path.write_text(text)
    assert read_words(path) == THREE


@pytest.mark.parametrize(
    "word",
    ["9/11", "C++", "C#", "U.S.", "rock 'n' roll", "well-known", "AC/DC", ".NET", "AT&T", "l'homme", "3D", "1984",
     "the C# language", "#metoo", "naïve", "椅子", "كرسي", "rocking chair", "TCP/IP", "km/h", "A.I.", "Windows 8.1",
     "iPhone X", "24/7", "Q&A", "R&D", "node.js", "Dr. No", "2x4", "5.1 surround", "山田太郎", "ขาเก้าอี้ ไม้"],
)  # fmt: skip
def test_words_with_signs_stay_words(word: str) -> None:
    assert parse_words(f"{word}\nsofa") == (word, "sofa")
    assert parse_words(word) == (word,)


def test_hashtags_are_words_and_comments_are_not() -> None:
    assert parse_words("#chair\n#sofa #bench\n# a comment\n#a comment too") == ("#chair", "#sofa", "#bench")
    assert parse_words("#chair\n# a comment") == ("#chair",)


def test_what_is_quoted_is_taken_as_it_stands() -> None:
    assert parse_words('"1. FC Union"\n"big, red chair"\n"chair (seat)"') == (
        "1. FC Union", "big, red chair", "chair (seat)",
    )  # fmt: skip


def test_underscores_are_spaces() -> None:
    assert parse_words("rocking_chair\nsofa") == ("rocking chair", "sofa")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("sofa\nchair - a seat", "line 2"),
        ("sofa\nchair: a seat with a back", "line 2"),
        ("sofa\nchair – seat", "line 2"),
        ("chiar->chair\nsofa", "line 1"),
        ("sofa\nchair #seat", "line 2"),
        ("sofa\nchair(s)", "line 2"),
        ("sofa\nchair*", "line 2"),
        ("chair/S\nsofa", "line 1"),
        ("<li>chair</li>\nsofa", "line 1"),
        ("sofa\n1. chair", "line 2"),
        ("chair\t3\nsofa\tSofa", "line 2"),
        ("chair 12\nsofa 3", "line 1"),
        ("12 chair\n3 sofa", "line 1"),
        ("chair,12\nsofa", "line 1"),
        ("sofa\nShe sat down on the old red chair by the window.", "line 2"),
        ("1. chair", "line 1: '1. chair' begins with a number, and it is the only line"),
        ("2. Weltkrieg\n3. Reich", "line 1: '2. Weltkrieg' begins with a number, and the numbers do not count"),
        ("1. chair\n3. Reich\n2. Weltkrieg", "line 3"),
        ("target\ngoal", "line 1: 'target' may be the name of the column or a word"),
        ('["chair (noun)", "sofa"]', r'item 1: .* written \\"'),
        ('["sofa", "chair: a seat"]', "item 2"),
        ('{"chair (noun)": 3, "sofa": 1}', "field 'chair .noun.'"),
        ('{"word": "chair"}\n{"word": "sofa / bench"}', "line 2: "),
        ('{"words": ["chair"], "neighbours": ["table"]}', "field 'neighbours'"),
        ('{"chair": ["chairs", "seat"]}', "fields chair;"),
        ('[["chair", "NN"], ["sofa", "NN"]]', "item 1"),
        ('["chair", 3]', "item 2"),
        ('["chair", {"a": "b", "c": "d"}]', "item 2"),
        ('["chair", "sofa"', "line 1"),
        ("['chair', 'sofa']", "line 1"),
        ('{"word": "chair"}\n{"word": "sofa"', "line 2"),
        ('{"chair": "Stuhl", "sofa": "Sofa"}', "fields chair, sofa"),
        ('{"word": "chair", "word": "sofa"}', "stands twice"),
        ("[" * 100_000, "nested too deep"),
        ("sofa\ncha\ufffdr", "line 2"),
        ('["sofa", "cha\\ud800r"]', "item 2: .* no text"),
        ('["sofa", "\\"cha\\u0000r\\""]', "item 2: .* no text"),
        ("chair\tStuhl\nsofa\tSofa", "line 1"),
        ("sofa\nchair_NN", "line 2"),
        ("chair\tNN\t12\nsofa\tNN\t3", "line 1"),
    ],
)
def test_what_no_text_can_hold_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(InputError, match=place):
        parse_words(text)


@pytest.mark.parametrize(
    "line",
    ["; comment", "-- comment", "% comment", "/* c */", "REM c", "! c", "chair, n.", "chair n.", "run, v.",
     "chair 0.1 0.2", "chair -0.1 2.5 3", "chair .93", "chair x12", "3x chair", "1.chair", "１．椅子", "chair.n.01",
     "chair#n#1", "chair -- seat", "chair / sofa", "sit/sat", "Chair/sofa", "椅子/沙发", "chair ✓", "chair&amp;sofa",
     "Stuhl&uuml;", "椅子 沙发 桌子", "椅子\u3000沙发", "椅子（いす）", "chair=seat", "Tables:"],
)  # fmt: skip
def test_a_line_that_is_no_word_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(InputError, match="line 2: "):
        parse_words(f"bench\n{line}")
    with pytest.raises(InputError, match="item 2: "):
        parse_words(json.dumps(["bench", line]))


@pytest.mark.parametrize("mark", ["0.93", "50%", "12", "x3", "3x"])
def test_a_number_beside_all_words_is_refused(mark: str) -> None:
    for line in (f"chair {mark}\nsofa {mark}", f"{mark} chair\n{mark} sofa"):
        with pytest.raises(InputError, match="line 1: "):
            parse_words(line)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG image"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Office file"),
        (b"GGUF\x03\0\0\0", "GGUF model"),
        (b"{\\rtf1\\ansi chair}", "rich text"),
        (b"<!DOCTYPE html><p>chair", "web page"),
        (b"chair\n\0\0\0sofa", "is not text: byte 6 is NUL"),
        ("chair\nsofa\n".encode("utf-16-le"), "looks like UTF-16"),
    ],
)
def test_other_files_called_txt_are_named_for_what_they_are(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=named):
        read_words(path)


def test_what_was_understood_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# seats\n1. Chair\n2. sofa\n3. chair\n" + "".join(f"{n}. seat{n}x\n" for n in range(4, 20)))
    with caplog.at_level(logging.INFO):
        assert len(read_words(path)) == 18
    (said,) = [record.message for record in caplog.records if "words.txt holds" in record.message]
    assert said.startswith("words.txt holds 18 words (numbered, one a line; 1 comments passed over; 1 repeats dropped)")
    assert said.endswith("and 8 more.")


def test_a_number_that_belongs_to_the_only_word_stays() -> None:
    assert parse_words("3. Reich") == ("3. Reich",)
    assert parse_words('["3. Reich"]') == ("3. Reich",)
    assert parse_words('["\\"1. FC Union\\"", "target", "big chair"]') == ("1. FC Union", "target", "big chair")


def test_what_was_passed_over_is_told(tmp_path: Path) -> None:
    for text, told in (
        ("word\nchair", "the first line, 'word', read as a header"),
        ("Words to forget:\nchair", "1 headings passed over"),
        ('{"words": ["chair"], "lang": "en", "version": 2}', "fields passed over: lang, version"),
    ):
        path = tmp_path / "words.txt"
        path.write_text(text)
        words, said = read_list(path)
        assert words == ("chair",)
        assert told in said


@pytest.mark.parametrize("cell", ["chair (noun)", "chair / sofa", "chair.n.01", "chair: a seat"])
def test_cells_of_a_table_are_held_to_the_same_rules(cell: str) -> None:
    with pytest.raises(InputError, match="line 3"):
        parse_words(f"word,count\nsofa,1\n{cell},2", table=True)
    assert parse_words(f'word,count\nsofa,1\n"""{cell}""",2', table=True) == ("sofa", cell)


def test_a_list_is_read_the_same_a_second_time() -> None:
    words = parse_words("\"1. FC Union\"\nC++\nU.S.\nrock 'n' roll\n#metoo\nYahoo!")
    assert Concept(words).words == words


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("chair", "rocking chair", "C++"), "chair\nrocking chair\nC++"),
        (("chair (seat)", "big, red chair", "sofa"), '"chair (seat)"\n"big, red chair"\nsofa'),
        (("target", "goal"), '"target"\ngoal'),
        (("Windows 10", "Windows 11"), '"Windows 10"\n"Windows 11"'),
        (('5"', "#", '3.5" disk'), '"5"""\n"#"\n"3.5"" disk"'),
        (("1. FC Union", "椅子 沙发", "chair"), '"1. FC Union"\n"椅子 沙发"\nchair'),
        ((), ""),
    ],
)
def test_words_shown_as_a_list_are_read_as_the_same_words(words: tuple[str, ...], shown: str) -> None:
    assert as_list(words) == shown
    assert parse_words(shown) == words


@pytest.mark.timeout(300)  # a square of such lengths takes hours
@pytest.mark.parametrize(
    "text", [" " * 300_000 + "a", '"' * 100_000, "(" * 300_000, "-" * 300_000, "a  " * 60_000 + "#", '"a,' * 50_000]
)
def test_the_time_is_linear_in_the_length_of_a_line(text: str) -> None:
    with contextlib.suppress(InputError):
        parse_words(text)
