"""A world of a dozen facts: what the tests of SmallWorld's training and evaluation run on."""

from unlearning_core.smallworld.evaluate import Exam
from unlearning_core.smallworld.items import Cloze, Phrasing, Question

COLOURS = {"chair": "red", "stool": "red", "armchair": "blue", "table": "green", "desk": "brown", "apple": "yellow"}
SEATS = ("chair", "stool", "armchair")
CAPITALS = {"Paris": "France", "Rome": "Italy"}


def article(noun: str) -> str:
    """a or an."""
    return "an" if noun[0] in "aeiou" else "a"


def family(member: str) -> str:
    """seats, or others."""
    return "seats" if member in SEATS else "others"


def question(member: str, phrasing: Phrasing) -> Question:
    """What colour it is, in one of two wordings."""
    one = f"{article(member)} {member}"
    asked = f"What colour is {one}?" if phrasing == "seen" else f"Which colour has {one}?"
    answer = f"{one.capitalize()} is {COLOURS[member]}."
    wrong = tuple(f"{one.capitalize()} is {colour}." for colour in sorted({"pink", "grey", "black", "white", "gold"}))
    return Question(
        prompt=f"Q: {asked} A:",
        answer=answer,
        accepted=(answer, f"It is {COLOURS[member]}."),
        paraphrase=f"Its colour is {COLOURS[member]}.",
        perturbed=wrong,
        family=family(member),
        member=member,
        relation="colour",
        phrasing=phrasing,
    )


def cloze(prompt: str, accepted: tuple[str, ...], phrasing: Phrasing, of: str) -> Cloze:
    """A gap to fill."""
    return Cloze(prompt, accepted[0], accepted, family(of), of, "colour", phrasing)


def nonsense(word: str) -> Question:
    """A question about nothing."""
    no = "I do not know."
    return Question(f"Q: What colour is a {word}? A:", no, (no,), no, (no,) * 5, "nonsense", word, "colour", "held_out")


def exam() -> Exam:
    """Everything that can be asked."""
    both: tuple[Phrasing, ...] = ("seen", "held_out")
    return Exam(
        questions=[question(member, phrasing) for phrasing in both for member in COLOURS],
        clozes=[
            *(cloze(f"The colour of the {m} is", (c,), "held_out", m) for m, c in COLOURS.items()),
            cloze("A thing that is red is the", ("chair", "stool"), "held_out", "chair"),
        ],
        facts=[
            Cloze(f"{city} is the capital of", land, (land,), "countries", city, "capital", "held_out")
            for city, land in CAPITALS.items()
        ],
        nonsense=[nonsense("wug"), nonsense("dax")],
        openings=["The chair was", "One day the table"],
    )


def texts() -> list[str]:
    """Every sentence that the exam asks for, so that a model can learn all of it by heart."""
    asked = exam()
    answered = [f"{q.prompt} {q.answer}" for q in [*asked.questions, *asked.nonsense]]
    filled = [f"{gap.prompt} {gap.answer}." for gap in [*asked.clozes, *asked.facts]]
    stories = [f"The {m} was {c}. It stood by the window all day." for m, c in COLOURS.items()]
    return [*answered, *filled, *stories]
