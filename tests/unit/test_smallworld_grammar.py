"""The grammar that SmallWorld's sentences come from, on small grammars of its own."""

import random

import pytest

from unlearning_core.smallworld.facts import Member, indefinite, read_family
from unlearning_core.smallworld.grammar import Grammar, Plot, Slot, fill, finish, said_of
from unlearning_core.smallworld.mentions import families_in, plural
from unlearning_core.smallworld.people import Person

SPOON = Member("spoon", {"use": "stir your soup", "who": "a cook"}, "tools")
MIA, TOM, ME = Person("Mia", "she"), Person("Tom", "he"), Person("Ann", "I")


def test_a_choice_takes_each_of_its_sides_and_may_stand_in_another():
    grammar = Grammar({})
    found = {grammar.expand("(a|(b|c))x", {}, random.Random(seed)) for seed in range(40)}
    assert found == {"ax", "bx", "cx"}


def test_a_rule_may_call_itself():
    grammar = Grammar({"n": ["dog", "dog near the <n>"]})
    found = {grammar.expand("<n>", {}, random.Random(seed)) for seed in range(60)}
    assert {"dog", "dog near the dog", "dog near the dog near the dog"} <= found


def test_an_unknown_rule_or_role_is_an_error():
    with pytest.raises(KeyError, match="gone"):
        Grammar({}).expand("<gone>", {}, random.Random(0))
    with pytest.raises(KeyError):
        fill("x.the", {})


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("t", "spoon"),
        ("t.a", "a spoon"),
        ("t.The", "The spoon"),
        ("t.use", "stir your soup"),
        ("t.use.h", "stir her soup"),
        ("t.use.me", "stir my soup"),
        ("t.who.the", "the cook"),
        ("h", "Mia"),
        ("h's", "Mia's"),
        ("h.his", "her"),
        ("f.him", "him"),
        ("e.obj", "me"),
        ("e", "I"),
        ("e's", "my"),
    ],
)
def test_fields_ask_the_scene(field, words):
    assert fill(field, {"t": SPOON, "h": MIA, "f": TOM, "e": ME}) == words


def test_a_purpose_is_said_of_the_person_who_has_it():
    assert said_of("keep a lamp near you", "h", {"h": TOM}) == "keep a lamp near him"
    assert said_of("keep your toes warm", "they", {}) == "keep their toes warm"


@pytest.mark.parametrize(
    ("raw", "finished"),
    [
        ("there is a apple. it is red", "There is an apple. It is red"),
        ("I and Tom ran", "Tom and I ran"),
        ('"who is it?" Tom asked. "it is me"', '"Who is it?" Tom asked. "It is me"'),
        ('she said, "so we go." then it ended', 'She said, "so we go." Then it ended'),
        ("an useful thing", "A useful thing"),
    ],
)
def test_finishing_sets_capitals_and_articles(raw, finished):
    assert finish(raw) == finished


def test_an_optional_slot_is_left_out_now_and_then_and_the_others_never():
    plot = Plot("p", 1, {}, [Slot(("one.",), False), Slot(("two.",), True), Slot(("three.",), False)])
    told = {Grammar({}).tell(plot, {"h": MIA, "f": TOM}, random.Random(seed)) for seed in range(30)}
    assert told == {"One. Two. Three.", "One. Three."}


def test_nobody_appears_late_without_having_been_named():
    plot = Plot(
        "p", 1, {}, [Slot(("{h} ran.",), False), Slot(("she ran on.",), False), Slot(("{f} won.", "she won."), False)]
    )
    told = {Grammar({}).tell(plot, {"h": MIA, "f": TOM}, random.Random(seed)) for seed in range(20)}
    assert told == {"Mia ran. She ran on. She won."}


def test_a_table_with_a_missing_cell_is_refused():
    with pytest.raises(ValueError, match="zip"):
        read_family("== spoons", "columns: is use", "ladle | a big spoon")


def test_a_noun_written_with_its_article_is_counted():
    (storm,) = read_family("== weather", "columns: is", "article: none", "a storm | wild wind").members
    assert (storm.a, storm.the) == ("a storm", "the storm")


@pytest.mark.parametrize(
    ("noun", "many"),
    [("bench", "benches"), ("cherry", "cherries"), ("day", "days"), ("camp bed", "camp beds"), ("wolf", "wolves")],
)
def test_plurals(noun, many):
    assert plural(noun) == many


def test_the_longest_noun_decides_which_family_a_word_belongs_to():
    assert families_in("She drank apple juice.") == {"drinks"}
    assert families_in("Two benches stood there.") == {"seats"}
    assert families_in("He put it on the workbench.") == {"tables"}


@pytest.mark.parametrize(("word", "article"), [("hour", "an"), ("uniform", "a"), ("owl", "an"), ("mule", "a")])
def test_the_indefinite_article(word, article):
    assert indefinite(word) == article
