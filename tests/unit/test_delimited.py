"""Tables whose delimiter, quoting and header the file does not say: read as they were meant, or asked about."""

from pathlib import Path

import pytest

from unlearning_core.concepts.texts import read_texts
from unlearning_core.errors import InputError

ONE, TWO, THREE = "Anna left, then she took the chair.", "Old; worn and red: the sofa broke.", "Mia ran."
TEXTS = [ONE, TWO, THREE]


QUOTES = 'id{0}text\n1{0}"Hello, he said.\n2{0}I have a chair\n3{0}I am fine"\n4{0}ok{1} yes\n'
"""Quotes that belong to two texts, where the file quotes nothing."""


def written(tmp_path: Path, content: str | bytes, name: str = "s.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, **how: object) -> list[str]:
    return list(read_texts(path, **how))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["s.csv", "s.tsv"])
@pytest.mark.parametrize(
    "content",
    [
        f'id,text\n1,"{ONE}"\n2,{TWO}\n3,{THREE}\n',
        f'id;text\n1;{ONE}\n2;"{TWO}"\n3;{THREE}\n',
        f"id\ttext\n1\t{ONE}\n2\t{TWO}\n3\t{THREE}\n",
        f"id|text\n1|{ONE}\n2|{TWO}\n3|{THREE}\n",
        f"text\n{ONE}\n{TWO}\n{THREE}\n",
        f'text\n"{ONE}"\n{TWO}\n{THREE}\n',
        f"\ufefftext\n{ONE}\n{TWO}\n{THREE}\n",
        f'sep=;\nid;text\n1;{ONE}\n2;"{TWO}"\n3;{THREE}\n',
        f'"sep=,"\nid,text\n1,"{ONE}"\n2,{TWO}\n3,{THREE}\n',
        f'weight;text\n1,5;{ONE}\n2,25;"{TWO}"\n3,0;{THREE}\n',
        f'id,text,\n1,"{ONE}",\n2,{TWO},\n3,{THREE},\n',
        f'id,text\n1,"{ONE}",\n2,{TWO},\n3,{THREE},\n',
        f'id, text\n1, "{ONE}"\n2, "{TWO}"\n3, {THREE}\n',
        f'\n\nid,text\n1,"{ONE}"\n\n2,{TWO}\n,\n3,{THREE}\n\n',
        f'id,text\r\n1,"{ONE}"\r\n2,{TWO}\r\n3,{THREE}\r\n',
        f'id,text\r1,"{ONE}"\r2,{TWO}\r3,{THREE}\r',
        f'# exported 2020\n\n# by me\nid,text\n1,"{ONE}"\n2,{TWO}\n3,{THREE}\n',
        f'#id;text\n1;{ONE}\n2;"{TWO}"\n3;{THREE}\n',
        f',text\n0,"{ONE}"\n1,{TWO}\n2,{THREE}\n',
        f'1,"{ONE}"\n2,{TWO}\n3,{THREE}\n',
        f'1;{ONE}\n2;"{TWO}"\n3;{THREE}\n',
        f'"a1"\t"{ONE}"\n"a2"\t"{TWO}"\n"a3"\t"{THREE}"',
        f'"{ONE}"\n"{TWO}"\n"{THREE}"\n',
        f'Satz\n"{ONE}"\n"{TWO}"\n"{THREE}"\n',
        f'TEXT;Label\n{ONE};1\n"{TWO}";0\n{THREE};1\n',
        f"label\tsentence\n1\t{ONE}\n0\t{TWO}\n1\t{THREE}\n",
        f'prompt_id,text,lang\n7,"{ONE}",en\n8,{TWO},en\n9,{THREE},en',
    ],
)
def test_every_dialect_gives_the_texts_whole(tmp_path: Path, content: str, name: str) -> None:
    assert read(written(tmp_path, content, name)) == TEXTS


def test_a_first_row_that_is_a_text_is_no_header(tmp_path: Path) -> None:
    assert read(written(tmp_path, f"{THREE}\n{ONE}\nNo end, none")) == [THREE, ONE, "No end, none"]


def test_quotes_inside_of_quotes_and_line_breaks(tmp_path: Path) -> None:
    texts = ['She said "sit", and sat.', "One.\n\nTwo, three.", "A \\ back, slash.", 'The 12" chair.']
    doubled = "id,text\n" + "".join(f'{n},"{t.replace(chr(34), chr(34) * 2)}"\n' for n, t in enumerate(texts))
    assert read(written(tmp_path, doubled)) == texts
    escaped = "id,text\n" + "".join(f'{n},"{t.replace(chr(34), chr(92) + chr(34))}"\n' for n, t in enumerate(texts))
    assert read(written(tmp_path, escaped)) == texts


def test_a_tab_file_with_quotes_that_mean_nothing(tmp_path: Path) -> None:
    content = 'id\ttext\n1\t"Sit," she said.\n2\tHe sat "down".\n3\t"Why?"\n'
    assert read(written(tmp_path, content)) == ['"Sit," she said.', 'He sat "down".', '"Why?"']


def test_quotes_that_seem_to_hold_rows_do_not_in_a_tab_file_or_where_it_is_said(tmp_path: Path) -> None:
    assert read(written(tmp_path, QUOTES.replace("{1}", ",").replace("{0}", "\t"))) == [
        '"Hello, he said.', "I have a chair", 'I am fine"', "ok, yes"
    ]  # fmt: skip
    path = written(tmp_path, QUOTES.format(",", ""))
    assert read(path, delimiter="comma")[1:] == ["ok yes"]
    one = 'text\n"Hello, he said.\nI have a chair.\nI am fine"\nBen sat.\n'
    assert len(read(written(tmp_path, one), delimiter="none")) == 4
    assert len(read(written(tmp_path, one), delimiter=",")) == 2


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('id,text\n1,"Dear Ben,\nI sat, and left.\nMia, yours."\n2,No.\n', 2),
        ('id\ttext\n1\t"One.\nTwo."\n2\t"Three"\n', 2),
        ('text\n"One.\nTwo."\n"Three."\n', 2),
        ('text\n"One.\n\nTwo."\nThree.\nFour.\n', 3),
        ('text\n"One.\nHe said ""two""."\nThree.\nFour.\n', 3),
        ('text\n"One,\ntwo."\n"Three, four."\nFive.\nSix.\n', 4),
    ],
)
def test_quotes_that_hold_lines_of_one_text(tmp_path: Path, content: str, texts: int) -> None:
    assert len(read(written(tmp_path, content))) == texts


def test_encodings_that_are_certain_are_read_and_others_are_named(tmp_path: Path) -> None:
    content = "id;text\n1;Ein schöner Stuhl, ja.\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert read(written(tmp_path, content.encode(encoding))) == ["Ein schöner Stuhl, ja."]
    path = written(tmp_path, content.encode("cp1252"))
    with pytest.raises(InputError, match=r"s\.csv is not UTF-8 text: byte 0xf6 at offset 17, line 2.* would be 'ö'"):
        read(path)
    assert read(path, encoding="cp1252") == ["Ein schöner Stuhl, ja."]
    with pytest.raises(InputError, match="The encoding 'cp9999' is not known"):
        read(path, encoding="cp9999")
    with pytest.raises(InputError, match=r"looks like UTF-16 .* encoding utf-16-le"):
        read(written(tmp_path, content.encode("utf-16-le")))
    assert read(tmp_path / "s.csv", encoding="utf-16-le") == ["Ein schöner Stuhl, ja."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"id,text\n1,{ONE}\n2,{THREE}\n", r"line 2: 3 fields, but the header has 2 \(delimiter comma\)"),
        (f"id;text\n1;{THREE}\n2;{TWO}\n", r"line 3: 3 fields, but the header has 2 \(delimiter semicolon\)"),
        (f"id,text\n1,{THREE}\n2\n3,{THREE}\n", "line 3: 1 fields, but the header has 2"),
        (f"{ONE}\n{THREE}\n", "the delimiter none that each line is one text"),
        ("Anna left, then ran.\nBen sat, and ate.\n", "more than one way: .*comma, or with one text a line"),
        ("a;b,c;d\ne;f,g;h\n", "more than one way: .*comma or a table with the delimiter semicolon"),
        (f'id,text\n1,"{ONE}\n2,{THREE}\n', "quote"),
        (f"nr,body,kind\n1,{THREE},a\n2,{THREE},b\n", "which column holds the text; its columns are nr, body, kind"),
        ("1,2,3\n4,5,6\n", "has no header, and which of its 3 columns holds the text cannot be told"),
        ("id,text\n1,a\0b\n", "NUL"),
        (QUOTES.format(",", ""), "quotes may hold one text .* Name the delimiter comma .* JSON lines"),
        (QUOTES.format(";", ","), "quotes may hold one text"),
        ('text,label\n"Hello, he said.,1\nA chair,0\nI am fine",1\nYes,0\n', "quotes may hold one text"),
        ('text\n"Hello, he said.\nI have a chair.\nI am fine"\nBen sat.\n', "none where each line is one text"),
        ("# by me\nnr,body\n1,a b\n2,c d\n", "begins with '# by me', which may be a comment"),
        ("text,text\na b,c d\n", "2 columns of one name: text, text. Rename one"),
        ("id,text,Text\n1,a b,c d\n", "2 columns of one name: text, Text. Name one of these"),
        ("question,answer,Question\na b,c d,e f\n", "2 columns of one name: question, Question"),
        ('{"text": "a, b"}\n{"text": "c"}\n', "looks like JSON lines, but a .csv file is a table. Name it .jsonl"),
        ("I like a chair, yes,1\nNo thanks my friend, no,0\n", "more than one way: .*comma, or with one text"),
        ("1;Er kam; er sah.\n2;Sie ging; sie blieb.\n", "more than one way: .*semicolon, or with one text"),
        ("id~text\n1~Mia ran.\n2~Ben sat.\n", "may be the header of a table with the delimiter ~"),
    ],
)
def test_what_is_in_doubt_is_asked_and_not_guessed(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, content))


def test_a_row_far_down_is_held_to_the_number_of_fields(tmp_path: Path) -> None:
    rows = "".join(f"{n},A text of its own.\n" for n in range(5000))
    path = written(tmp_path, f"id,text\n{rows}5000,Too, many.\n5001,Fine.\n")
    with pytest.raises(InputError, match="line 5002: 3 fields, but the header has 2"):
        read(path)
    path = written(tmp_path, f'id,text\n{rows}5000,"So.\n5001,It is.\n5002,Fine."\n')
    with pytest.raises(InputError, match=r"lines 5002 to 5004 can be read in more than one way: .* '5001,It is\.'"):
        read(path)
    lines = "A text of its own.\n" * 5000
    with pytest.raises(InputError, match="lines 5002 to 5003 can be read in more than one way"):
        read(written(tmp_path, f'text\n{lines}"So.\nFine."\n'))
    path = written(tmp_path, f'id,text\n{rows}5000,"Never closed.\n5001,Fine.\n')
    with pytest.raises(InputError, match=r"line.* 5002 to 5003: a quote is not closed"):
        read(path)


def test_a_person_can_say_how_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "Anna left, then ran.\nBen sat, and ate.\n")
    assert read(path, delimiter="none") == ["Anna left, then ran.", "Ben sat, and ate."]
    assert read(path, delimiter=",", column="2", header=False) == ["then ran.", "and ate."]
    path = written(tmp_path, "first;second\nMia ran.;Ben sat.\n")
    assert read(path, header=False, column="1") == ["first", "Mia ran."]
    assert read(path, column="second") == ["Ben sat."]
    assert read(path, delimiter="semicolon", column="first") == ["Mia ran."]
    with pytest.raises(InputError, match=r"no column 'secnd'; its columns are first, second. Did you mean 'second'\?"):
        read(path, column="secnd")
    path = written(tmp_path, "id~text\n1~Mia; ran, far.\n")
    assert read(path, delimiter="~") == ["Mia; ran, far."]
    path = written(tmp_path, "# by me\nnr;body\n1;Mia ran.\n2\n")
    with pytest.raises(InputError, match="line 4: 1 fields"):
        read(path, delimiter=";", column="body")
    path = written(tmp_path, "# cats, yes\nMia ran, home.\n")
    assert read(path, delimiter="none") == ["# cats, yes", "Mia ran, home."]
    with pytest.raises(InputError, match="The delimiter is 'ab'"):
        read(path, delimiter="ab")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"id\ttext\n1\t{ONE}\n2\t{TWO}\n", "a table with the delimiter tab"),
        (f"1\t{ONE}\n2\t{TWO}\n3\t{THREE}\n", "a table with the delimiter tab"),
        ("id;text\n1;Mia ran.\n2;Ben sat.\n", "a table with the delimiter semicolon"),
        ('{"text": "Mia ran."}\n{"text": "Ben sat."}\n', "JSON lines"),
        ('["Mia ran.", "Ben sat."]\n', "JSON lines"),
        ('[\n  "Mia ran.",\n  "Ben sat."\n]\n', "JSON"),
        ("id,text\n1,Mia ran.\n", "a table with the delimiter comma"),
    ],
)
def test_a_table_called_txt_is_asked_about(tmp_path: Path, content: str, found: str) -> None:
    path = written(tmp_path, content, "s.txt")
    with pytest.raises(InputError, match=f"s.txt looks like {found}"):
        read(path)
    assert read(path, delimiter="none") == [line.strip() for line in content.splitlines()]


def test_text_with_commas_called_txt_is_text(tmp_path: Path) -> None:
    lines = ["Anna left, then ran.", "Ben sat, and ate.", "Mia, old, slept."]
    assert read(written(tmp_path, "\n".join(lines), "s.txt")) == lines
    with pytest.raises(InputError, match="has no columns, so column 'text' means nothing"):
        read(tmp_path / "s.txt", column="text")


def test_what_was_understood_is_told(tmp_path: Path) -> None:
    stream = read_texts(written(tmp_path, f'id;text\n1;{ONE}\n2;"{TWO}"\n3;{THREE}\n4;More.\n'))
    said = stream.peek().sentence()
    assert "table, UTF-8, delimiter semicolon, columns id, text; text in 'text'" in said
    assert all(f"“{text}”" in said for text in TEXTS)
    assert list(stream) == [*TEXTS, "More."]
    assert stream.understood.texts == 4
