"""Words in every script: a text with the concept never counts as one without it, and one without it is kept."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.every_script import TEXTS
from unlearning_core.cli import main
from unlearning_core.concepts.filtering import FilterSettings, filter_dataset
from unlearning_core.concepts.lemmas import language_code, uninflected
from unlearning_core.concepts.matcher import Matcher, Span, outside
from unlearning_core.concepts.scripts import located_text, running_text
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.concepts.words import Concept
from unlearning_core.config.reading import build_config
from unlearning_core.errors import InputError
from unlearning_core.runs.checks import check_words
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run

QUICK = "zh ja th ko he ar hi es".split()
"""In the quick tier: of every kind of script one, none with a dictionary that takes long to load."""

HEAVY = "fi pl hu tr ru de sk cs uk da hr sr".split()


def quick_first(languages: Iterable[str]) -> list[Any]:
    ordered = sorted(languages, key=lambda language: language not in QUICK)
    return [pytest.param(language, marks=() if language in QUICK else pytest.mark.slow) for language in ordered]


def by_language(*cases: tuple[str, str, str]) -> list[Any]:
    """Cases of one language beside each other: few dictionaries are in memory at a time."""
    return [pytest.param(*case, marks=pytest.mark.slow if case[0] in HEAVY else ()) for case in sorted(cases)]


def plain(text: str) -> str:
    """What an independent search sees: case, forms, invisible characters, points and accents of Greek aside."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    seen = "".join(letter for letter in folded if unicodedata.category(letter) != "Cf" and letter != "ـ")
    if any("\u0590" <= letter <= "\u06ff" or "\u0370" <= letter <= "\u03ff" for letter in seen):
        seen = "".join(part for part in unicodedata.normalize("NFD", seen) if unicodedata.category(part) != "Mn")
    return unicodedata.normalize("NFC", seen.replace("ё", "е").replace("ı", "i").replace("ي", "ی").replace("ك", "ک"))


def holds_any(text: str, stems: tuple[str, ...]) -> bool:
    return any(plain(stem) in plain(text) for stem in stems)


@pytest.mark.parametrize("language", quick_first(TEXTS))
def test_every_sentence_with_the_concept_is_found_and_no_other(language: str) -> None:
    matcher = Matcher(Concept(TEXTS[language].words, language=language))
    assert [text for text in TEXTS[language].having if not matcher.matches(text)] == []
    assert [text for text in TEXTS[language].lacking if matcher.matches(text)] == []


@pytest.mark.parametrize(
    "language", quick_first("zh ja th lo km my bo ko he ar fa ur hi mr bn ta te ka hy am el ru".split())
)
def test_a_script_brings_its_own_rules_whatever_the_language_is_said_to_be(language: str) -> None:
    matcher = Matcher(Concept(TEXTS[language].words))
    assert [text for text in TEXTS[language].having if not matcher.matches(text)] == []
    assert [text for text in TEXTS[language].lacking if matcher.matches(text)] == []


@pytest.mark.parametrize(
    ("language", "word", "forms"),
    by_language(
        ("ja", "食べる", "食べた 食べない 食べます 食べられる 食べよう"),
        ("ja", "走る", "走った 走って 走ります 走れ"), ("ja", "赤い", "赤かった 赤く 赤ければ"),
        ("ko", "집", "집에서 집이 집을 집으로 집까지는 집입니다"),
        ("ko", "먹다", "먹었다 먹는 먹고 먹습니다 먹을"), ("ko", "예쁘다", "예쁜 예뻐요 예뻤다"),
        ("ko", "눕다", "누워 눕는"), ("ko", "가다", "갔다 간다 갑니다"), ("he", "ספר", "הספרים ובספר ספרו"),
        ("ar", "مدرسة", "المدرسة مدرستنا مدارس"), ("tr", "ağaç", "ağacı AĞAÇLAR ağaca"),
        ("tr", "İstanbul", "İstanbul'da istanbul ISTANBUL"), ("tr", "gitmek", "gitti gidiyor gider"),
        ("fi", "katu", "kadun kadulla"), ("fi", "kenkä", "kengän kengät"), ("de", "Fuß", "Füße FUSS Fuß"),
        ("el", "σκύλος", "ΣΚΥΛΟΥ ΣΚΥΛΟΙ σκύλων"), ("el", "γάτα", "ΓΑΤΕΣ γάτες"),
        ("hi", "ज़िंदगी", "जिंदगी ज़िंदगियाँ"), ("hi", "घर", "घरों घरमें"), ("ne", "घर", "घरमा घरहरू"),
        ("bn", "বই", "বইটি বইয়ের"), ("ta", "நாய்", "நாய்கள் நாயை"), ("kk", "үй", "үйде үйлер"),
        ("az", "ev", "evdə evlər"), ("uz", "kitob", "kitoblarni"), ("am", "ቤት", "ቤቱ በቤት ቤቶች"),
        ("vi", "hoà", "hòa HÒA"), ("th", "น้ำ", "นํ้า"), ("tl", "upuan", "upuang"),
        ("fa", "گربه", "گربه‌ها گربه‌اش"), ("ur", "لڑکا", "لڑکے لڑکوں"),
        ("en", "chair", "ⓒⓗⓐⓘⓡ c̶h̶a̶i̶r̶ 𝒄𝒉𝒂𝒊𝒓"),
        ("en", "Horcrux", "Horcruxes Horcrux's"), ("en", "iPhone", "iPhones"), ("en", "ChatGPT", "ChatGPTs ChatGPTed"),
        ("en", "Uber", "Ubered Ubering"), ("en", "mimic", "mimicking mimicked"), ("en", "bus", "busses buses"),
        ("en", "Animagus", "Animagi Animaguses"), ("uk", "Київ", "Києві Києва"),
        ("uk", "Гермиона", "Гермиони Гермиону"),
        ("sk", "Potter", "Pottera Potterovi"), ("sr", "stolica", "stolice stolicu"), ("da", "bog", "bøgerne bøgernes"),
        ("nb", "bok", "bøkene"), ("nl", "kat", "katten"), ("lt", "katė", "katės"), ("lv", "kaķis", "kaķi"),
        ("te", "చెట్టు", "చెట్లు చెట్టుకు"), ("ko", "모르다", "몰라요 몰랐다 모른다"), ("ky", "китеп", "китеби китептер"),
        ("uz", "bilak", "bilagi"), ("az", "pişik", "pişiyi pişiklər"), ("hu", "ló", "lovak lovam"),
        ("hu", "ház", "házában"), ("es", "comer", "cómetelo comérselo comiéndose"),
        ("es", "sentarse", "sentado sienta"),
        ("it", "dire", "dirgli dimmi"), ("de", "Haus", "Hause"), ("de", "essen", "gegessen"),
        ("de", "Potter", "Potters"),
        ("ru", "Поттер", "Поттера Поттеру Поттером"), ("ru", "Гермиона", "Гермиону Гермионой"),
        ("pl", "Hermiona", "Hermiony Hermionę"), ("cs", "Praha", "Prahy Praze"), ("hr", "Zagreb", "Zagrebu"),
    ),
)  # fmt: skip
def test_a_word_is_found_in_its_forms(language: str, word: str, forms: str) -> None:
    matcher = Matcher(Concept((word,), language=language))
    assert [form for form in forms.split() if not matcher.matches(form)] == []


@pytest.mark.parametrize(
    ("language", "word", "others"),
    by_language(
        ("ko", "개", "개발 개구리"), ("ko", "집", "집중 집게"), ("he", "ספר", "ספינה מטבח"),
        ("tr", "masa", "masal masum"), ("fi", "katu", "kala kannu"), ("de", "Stuhl", "Stuhlbein Rollstuhl"),
        ("el", "γάτα", "γάλα γάμος"), ("es", "par", "parte"),
        ("en", "Uber", "uberx ubi"), ("uk", "Рон", "ронити"), ("hi", "घर", "घड़ी घटना"), ("kk", "үй", "үйрек үлкен"),
        ("ar", "كلب", "قلب كتاب"), ("ru", "стул", "стол ступень"),
    ),
)  # fmt: skip
def test_a_word_is_not_found_in_others_that_begin_alike(language: str, word: str, others: str) -> None:
    matcher = Matcher(Concept((word,), language=language))
    assert [other for other in others.split() if matcher.matches(other)] == []


@pytest.mark.parametrize("language", quick_first(TEXTS))
def test_filtered_text_holds_no_concept_word_and_all_that_lacks_it(language: str, tmp_path: Path) -> None:
    texts = TEXTS[language]
    (tmp_path / "texts.txt").write_text("\n".join([*texts.having, *texts.lacking]) + "\n", encoding="utf-8")
    concept = Concept(texts.words, language=language)
    filter_dataset(tmp_path / "texts.txt", concept, tmp_path / "out", FilterSettings(validation_share=0.4))
    kept = [row for part in ("train", "validation") for row in load_from_disk(str(tmp_path / "out" / part))["text"]]
    assert [text for text in kept if holds_any(text, texts.stems)] == []
    assert sorted(kept) == sorted(texts.lacking)


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("我的iPhone很好", "iPhone", ["iPhone"]),
        ("iPhone을 샀다", "iPhone", ["iPhone"]),
        ("我的T恤和AT恤", "T恤", ["T恤"]),
        ("椅\n子 和 iPhone 手机壳", "椅子 iPhone手机", ["椅\n子", "iPhone 手机"]),
        ("人工智能", "人工智能 人 智能", ["人工智能"]),
        ("回転 椅子", "回転椅子", ["回転 椅子"]),
        ("흔들 의자 흔들의자", "의자", ["의자", "의자"]),
        ("개가 개발 개를", "개", ["개가", "개를"]),
        ("我们去了北京\ufe00", "北京", ["北京\ufe00"]),
        ("cha\u200bir, \ufeffchair\u200e, chair\u200bleg, \u202bchair\u202c", "chair",
         ["cha\u200bir", "chair", "chair", "chair"]),
        ("a rocking\u200b \u2060chair", "rocking chair", ["rocking\u200b \u2060chair"]),
        ("сhair cнair", "chair", []),
        ("c\u200b++ ｃ＋＋ C++", "C++", ["c\u200b++", "ｃ＋＋", "C++"]),
        ("l\u2019\u00e9cole L'E\u0301COLE", "l'e\u0301cole", ["l\u2019\u00e9cole", "L'E\u0301COLE"]),
        ("בית־ספר בית ספר", "בית-ספר", ["בית־ספר", "בית ספר"]),
        ("می\u200cخواهم ميخواهم می خواهم", "می\u200cخواهم", ["می\u200cخواهم", "ميخواهم", "می خواهم"]),
    ],
)  # fmt: skip
def test_places_are_those_of_the_text_as_it_is_written(text: str, words: str, found: list[str]) -> None:
    matcher = Matcher(Concept(tuple(words.split(" ")) if " chair" not in words else (words,), language="en"))
    assert [text[span.start : span.end] for span in matcher.spans(text)] == found


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [("椅子 椅子腿", "我有椅子", ["椅子"]), ("C++ C#", "I write C#", ["C#"]),
     ("A/B-test AT&T", "we like AT&T", ["AT&T"]),
     ("의자 의자다리", "내 의자", ["의자"]), ("椅子 椅子腿", "我有椅", [])],
)  # fmt: skip
def test_a_text_may_end_where_a_longer_word_would_go_on(words: str, text: str, found: list[str]) -> None:
    assert [text[s.start : s.end] for s in Matcher(Concept(tuple(words.split()))).spans(text)] == found


def test_a_korean_phrase_is_found_with_and_without_its_space_and_not_across_others() -> None:
    text = "회전의자와 회전 의자"
    assert [text[s.start : s.end] for s in Matcher(Concept(("회전 의자",))).spans(text)] == ["회전의자", "회전 의자"]
    assert Matcher(Concept(("의자",))).spans("회의 자료") == []


SIGNS = st.sampled_from(
    ["椅", "子", "椅子", "ｲ", "ス", "\uff9e", "a", "T", "恤", " ", "\n", "\u200b", "\u00ad", "\u0301", "-", "’", "의",
     "자", "\u1100\u1161", "כ", "\u05b4", "ﬁ", "👩\u200d", "İ", "。", "1"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(SIGNS, max_size=25).map("".join))
def test_each_character_of_the_compared_spelling_has_its_place(text: str) -> None:
    folded, starts, ends = located_text(text)
    assert folded == running_text(text)
    assert len(folded) == len(starts) == len(ends)
    assert starts == sorted(starts)
    assert all(0 <= start < end <= len(text) for start, end in zip(starts, ends, strict=True))


@settings(max_examples=300, deadline=None)
@given(st.lists(SIGNS, max_size=25).map("".join))
def test_a_word_of_running_text_is_never_missed(text: str) -> None:
    spans = Matcher(Concept(("椅子",))).spans(text)
    bare = "".join(letter for letter in text if unicodedata.category(letter) != "Cf" and not letter.isspace())
    there = unicodedata.normalize("NFKC", bare).count("椅子")
    # Points and accents count for nothing: a word that has some is found too.
    marked = any(unicodedata.category(letter).startswith("M") for letter in text)
    assert len(spans) >= there if marked else len(spans) == there
    letters = ("".join(sign for sign in text[s.start : s.end] if unicodedata.category(sign)[0] == "L") for s in spans)
    assert all("椅子" in unicodedata.normalize("NFKC", found) for found in letters)


@pytest.mark.parametrize(
    ("given_code", "code"),
    [("en", "en"), ("EN", "en"), ("pt-BR", "pt"), ("zh_Hans", "zh"), ("iw", "he"), ("deu", "de"), ("cmn", "zh")],
)
def test_a_language_is_known_by_every_code_it_has(given_code: str, code: str) -> None:
    assert language_code(given_code) == code


@pytest.mark.parametrize("code", "zh ja ko th lo km my bo vi ta ug yue sr hr no kk af".split())
def test_a_language_without_known_inflections_is_allowed_and_a_sentence_says_so(code: str) -> None:
    assert Matcher(Concept(("椅子",), language=code)).matches("他坐在椅子上。")
    sentence = uninflected(code)
    assert sentence is None or repr(code) in sentence
    assert (sentence is None) == (code in ("ja", "ko", "ta", "ug", "sr", "hr", "no", "kk"))


@pytest.mark.parametrize(
    ("code", "advice"),
    [("xx-nonsense", r"Near it are xh \(Xhosa\)"), ("german", "Did you mean de"),
     ("Chinese", "Did you mean zh"), ("Germn", r"de \(German\)"), ("日本語", "Did you mean ja"),
     ("☃", "two letters of ISO 639-1"), ("zzzz", "two letters")],
)  # fmt: skip
def test_an_unknown_language_is_refused_with_what_is_near(code: str, advice: str) -> None:
    with pytest.raises(InputError, match=f"The language {code!r} is not known.*{advice}"):
        Matcher(Concept(("chair",), language=code))


def test_a_word_of_invisible_letters_is_refused() -> None:
    with pytest.raises(InputError, match="only invisible characters"):
        Matcher(Concept(("chair", "\u3164")))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=12), st.sets(st.integers(0, 30), max_size=9))
def test_outside_keeps_the_matches_that_overlap_none(lengths: list[tuple[int, int]], starts: set[int]) -> None:
    place, found = 0, []
    for length, gap in lengths:
        found.append(Span(place + gap, place + gap + length, "a"))
        place += gap + length
    taken = [(2 * start, 2 * start + 1) for start in sorted(starts)]
    expected = [f for f in found if not any(f.start < end and start < f.end for start, end in taken)]
    assert outside(found, taken) == expected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("他坐下。她走了！你呢？好。", ["他坐下。", "她走了！", "你呢？", "好。"]),
        ("「そうだ！」と言った。次の文。", ["「そうだ！」と言った。", "次の文。"]),
        ("(椅子很大。)他走了。你好!我来了", ["(椅子很大。)", "他走了。", "你好!", "我来了"]),
        ("वह बैठा है।कुर्सी टूटी। हाँ॥", ["वह बैठा है।", "कुर्सी टूटी।", "हाँ॥"]),
        ("كيف حالك؟ هو هنا. مكسور۔ نعم", ["كيف حالك؟", "هو هنا.", "مكسور۔", "نعم"]),
        ("Նա նստեց։ Աթոռը հին է։", ["Նա նստեց։", "Աթոռը հին է։"]),
        ("ወንበሩ ተሰበረ። እሱ ሄደ።", ["ወንበሩ ተሰበረ።", "እሱ ሄደ።"]),
        ("သူထိုင်သည်။ခုံကျိုးသည်။", ["သူထိုင်သည်။", "ခုံကျိုးသည်။"]),
        ("គាត់អង្គុយ។កៅអីបាក់។", ["គាត់អង្គុយ។", "កៅអីបាក់។"]),
        ("ཁོང་བཞུགས། ཁྱི་རྒྱུགས།", ["ཁོང་བཞུགས།", "ཁྱི་རྒྱུགས།"]),
        ("Τι κάνεις; Κάθομαι. Ναι; όχι", ["Τι κάνεις;", "Κάθομαι.", "Ναι;", "όχι"]),
        ("ის დაჯდა. სკამი გატყდა.", ["ის დაჯდა.", "სკამი გატყდა."]),
        ("เขานั่งอยู่บนเก้าอี้ตัวใหญ่ สุนัขวิ่งเล่นต่าง ๆ", ["เขานั่งอยู่บนเก้าอี้ตัวใหญ่", "สุนัขวิ่งเล่นต่าง ๆ"]),
        ("Wait... what? “No.” Dr. Smith left.\n\nHe sat", ["Wait... what?", "“No.”", "Dr. Smith left.", "He sat"]),
    ],
)
def test_sentences_end_with_the_marks_of_their_script(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@pytest.mark.parametrize("text", ["椅，" * 500, "椅" * 1500, "กา" * 700, "a" + "\u0301" * 900, "word " * 300])
def test_a_long_sentence_is_cut_and_nothing_is_lost(text: str) -> None:
    pieces = split_sentences(text)
    assert max(map(len, pieces)) <= 400
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_the_commands_take_any_language_and_say_once_what_is_not_known_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("椅子\n", encoding="utf-8")
    (tmp_path / "texts.txt").write_text("他坐在椅子上。她走了。\n", encoding="utf-8")
    call = ["label", "--words", "words.txt", "--sentences", "texts.txt", "--output-prefix", "x", "--language"]
    assert main([*call, "zh-TW"]) == 0
    shown = capsys.readouterr()
    assert "1 sentences with the concept, 1 without" in shown.out
    assert shown.err.count("No inflections are known for the language 'zh-TW'") == 1
    assert (tmp_path / "x-inverse.txt").read_text(encoding="utf-8") == "她走了。\n"
    assert main([*call, "xx-nonsense"]) == 2
    assert "The language 'xx-nonsense' is not known" in capsys.readouterr().err


@pytest.mark.parametrize("language", ["xx-nonsense", ""])
def test_a_run_with_a_language_that_there_is_not_is_refused_before_its_work(language: str, tmp_path: Path) -> None:
    given_settings = {"neural_probing": {"concept_definition": ["chair"], "language": language}}
    with pytest.raises(InputError, match=r"neural_probing\.language.*is not known"):
        check_words(RunContext(create_run(build_config(given_settings), tmp_path)))
