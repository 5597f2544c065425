"""What the guided demo says on each of its steps."""

from typing import NamedTuple


class Step(NamedTuple):
    """A step of the demo, on the page of that title.

    Attributes:
        say: one sentence to say aloud.
        before: what the step does, before its button is pressed.
        button: what begins it; empty where there is nothing to begin.
        after: what to look at once it is done.
        picture: (what it is, its anchor on the page) that is spoken of, or None.
        asks: whether the quiz is asked once the step is done.
    """

    say: str
    before: str
    button: str
    after: str
    picture: tuple[str, str] | None = None
    asks: bool = False


STEPS = {
    "Model": Step(
        "This is a whole model, and before we take anything from it we ask what it knows.",
        "Ten questions about {concept} and ten about neighbours, things near by that must stay, are put to the model.",
        "What do you know about {concept}?",
        "Remember the two numbers: the first should fall, the second should stay. The same questions are asked again "
        "after each change.",
        asks=True,
    ),
    "Concept": Step(
        "What it should forget is just a list of words, and we find them in ordinary sentences.",
        "The words are found in all their forms in sentences with and without them.",
        "Find the words in the sentences",
        "Look at the marked words: what the model does differently there shows where it keeps the concept.",
        ("Go to the sentences", "labelled-sentences"),
    ),
    "Neurons": Step(
        "While the model reads, every one of its neurons is watched, and small groups are cut on trial.",
        "Each neuron is judged by what cutting it takes from the concept, and what from other text.",
        "Watch every neuron and rank them",
        "Above all layers, below one of them with a cell for each neuron: the darkest are cut first; ★ is the first.",
        ("Go to the picture", "ranking"),
    ),
    "Prune": Step(
        "Now we cut neurons and reset the words themselves, and what you see on the screen is what is kept.",
        "Move the sliders if you like and watch what both models write. The cut that is on screen is the one that is "
        "kept; then the quiz is asked again.",
        "Keep the cut on screen and ask again",
        "The cut is kept. Look at both numbers: what is gone, and what stayed.",
        ("Go to the slider and what it writes", "prune"),
        asks=True,
    ),
    "Retrain": Step(
        "A cut hurts a little everywhere, so the whole model teaches it again, without a word of the concept.",
        "The whole model is its teacher, with the concept's words forbidden; then it is measured and asked again.",
        "Let the model recover",
        "The question is whether the concept came back too.",
        ("Go to the curves", "what-it-knows"),
        asks=True,
    ),
    "Compare": Step(
        "Here are all models side by side, after the same words and with the same random numbers.",
        "All models are measured and put side by side.",
        "Put them side by side",
        "Read what each model writes. In the last tab the audience can ask two of them questions of its own.",
        ("Go to what they write", "what-they-write"),
    ),
    "Summary": Step(
        "And now the attack: we try to teach it the concept again, and see whether it remembers.",
        "The edited model and one that never knew the concept read the same texts about it, step by step. A model that "
        "only hides what it knows is much faster.",
        "Try to bring it back",
        "That is all of it: what it knew, what is left, what it cost, and what an attacker gets.",
        ("Go to the race", "race"),
    ),
}  # fmt: skip
"""By the title of the page, in the order of the demo."""
