"""A word is found in every spelling and writing that people and file formats give it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlearning_core.concepts.escapes import place, plain
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept


def found(text: str, *words: str, language: str = "en") -> list[str]:
    matcher = Matcher(Concept(words, inflections=language == "en", language=language))
    return [text[span.start : span.end] for span in matcher.spans(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"Great.\nchairs, a\tchair\r\nchair and \\nchair", "chairs chair chair chair"),
        (r"\u2019chair, chair\u2019s, \xa0chair", "chair chair chair"),
        ("wooden%20chair%0Achair%C2%A0chair", "chair chair chair"),
        ("a&nbsp;chair&#160;chair&#xA0;chair&amp;nbsp;chair &lt;b&gt;chair&lt;/b&gt;", "chair chair chair chair chair"),
        ("ch&shy;air ch&#x61;ir ch&zwj;air cha&#x69;&#114;", "ch&shy;air ch&#x61;ir ch&zwj;air cha&#x69;&#114;"),
        ("chair\u00e2\u20ac\u2122s \u00e2\u20ac\u0153chair\u00c2\u00a0is", "chair chair"),
        ("chair\u00b9 chair\u00b2 chair\u2460 2chairs chair2 chair2's", "chair chair chair chairs chair chair"),
        ("c\u0332h\u0332a\u0332i\u0332r\u0332 chair\u20e3", "c\u0332h\u0332a\u0332i\u0332r\u0332 chair\u20e3"),
        ("chair`s chair\u00b4s chair\u2018s chair\u02bbs my\u2018chair\u2019", "chair chair chair chair chair"),
        ("\\chair arm\u00adchair", "chair"), ("100% chair & table \\ 5%", "chair"),
        (r"\u006Eice \ud83d\ude00chair &unknown;chair &#99999999;chair %FF%chair", "chair chair chair chair"),
    ],
)  # fmt: skip
def test_a_word_is_found_beside_and_in_the_escapes_of_other_formats(text: str, words: str) -> None:
    assert found(text, "chair") == words.split()


def test_a_word_that_begins_with_the_letter_of_an_escape_is_found_too() -> None:
    assert found(r"\newton \tools and&amp", "newton", "tool", "amp") == ["newton", "tools", "amp"]


@pytest.mark.parametrize(
    "text",
    ["rocking&nbsp;chair", "rocking_chair", "**rocking** chair", "rocking <b class='x'>chairs</b>",
     "rocking\u00adchair", r"rocking\nchair", "rocking%20chair", "rocking-<i>chair</i>", "[rocking] [[chair]](url)",
     "rocking+chair"],
)  # fmt: skip
def test_markup_may_stand_between_the_words_of_a_phrase(text: str) -> None:
    assert len(found(text, "rocking chair")) == 1
    assert found(text.replace("chair", "; chair"), "rocking chair") == []


@pytest.mark.parametrize(
    ("language", "word", "texts"),
    [
        ("ru", "стул", "сту́л СТУ\u0301Л %D1%81%D1%82%D1%83%D0%BB"), ("bg", "ѝ", "и"), ("la", "puella", "puellā PUELLĀ"),
        ("fr", "école", "École Ecole ECOLE ÉCOLE l'Ecole L&apos;ECOLE"),
        ("fr", "élève", "Elève ELEVE Élève"), ("es", "árbol", "Arbol ARBOL"),
        ("ro", "mașină", "maşină MAŞINĂ"), ("fr", "cœur", "coeur CŒUR"), ("en", "encyclopædia", "encyclopaedia"),
        ("ml", "അവൻ", "അവന്\u200d"), ("bn", "হঠাৎ", "হঠাত্"), ("en", "Hawai'i", "Hawaiʻi Hawai‘i Hawai`i Hawai´i"),
        ("ar", "Qur'an", "Qurʾan Qur’an"), ("ur", "بچہ", "بچه"), ("ur", "گھر", "گهر"), ("yi", "װאָס", "וואָס וואס"),
        ("he", 'צה"ל', 'בצה"ל ושבצה״ל צה״ל'), ("ca", "col·legi", "COL·LEGI coŀlegi col·legi"), ("am", "ፀሐይ", "ጸሀይ"),
        ("zh", "台灣", "臺灣 &#21488;&#28771; \\u53f0\\u7063"),
        ("de", "Küche", "K&uuml;che K\\u00fcche KÃ¼che K%C3%BCche"),
    ],
)  # fmt: skip
def test_a_word_is_found_in_its_other_spellings(language: str, word: str, texts: str) -> None:
    assert [text for text in texts.split() if not found(text, word, language=language)] == []


def test_letters_that_are_no_spellings_of_one_another_stay_apart() -> None:
    assert found("ecole Eleve ecoles Marche marche", "école", "élève", "marché", language="fr") == []
    assert found("мои стула ќе", "мой", "ке", language="mk") == []
    assert found('אצה"ל גבצה"ל', 'צה"ל', language="he") == []
    assert found("l·ona chair·table", "chair", language="ca") == ["chair"]


ESCAPES = st.sampled_from(
    ["\\n", "\\u00fc", "&nbsp;", "&uuml;", "&lt;", "%20", "%C3%BC", "Ã¼", "â€™", "<b>", "\u00ad", "&amp;amp;", "a", " ",
     "chair", "椅", "&", ";", "%", "\\", "<", "&NotEqualTilde;"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(ESCAPES, max_size=15).map("".join))
def test_what_is_meant_is_as_long_as_what_is_written(text: str) -> None:
    meant = plain(text)
    assert meant is None or len(meant) == len(text)
    for start in range(len(text) if meant else 0):
        begin, end = place(meant or "", start, start + 1)
        assert start <= begin <= end <= len(text)
    spans = Matcher(Concept(("chair", "椅"))).spans(text)
    borders = [border for span in spans for border in (span.start, span.end)]
    assert borders == sorted(borders)
    assert all(span.start < span.end for span in spans)
