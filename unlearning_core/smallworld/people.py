"""Who the stories are about; a pronoun never has to choose between two people, since they differ in it."""

from dataclasses import dataclass

GIRLS = (
    "Anna Mia Lily Emma Ella Nora Clara Ruth Ida Rosa Kate Jane Lucy Maria Sofia Alice Helen Julia Vera Lena".split()
)
BOYS = (
    "Ben Tom Sam Jack Max Leo Paul Hugo Oscar Felix Peter Henry David George Adam Simon Martin Robert Emil Carl".split()
)
WOMEN = ("Grandma", "Mother", "Aunt May", "Aunt Lisa", "Mrs Green", "Mrs Stone", "Mrs Brown", "Mrs White")
MEN = ("Grandpa", "Father", "Uncle Joe", "Uncle Fred", "Mr Hill", "Mr Brown", "Mr Baker", "Mr Wood")

_PRONOUNS = {
    "she": {"he": "she", "him": "her", "his": "her"},
    "he": {"he": "he", "him": "him", "his": "his"},
    "I": {"he": "I", "him": "me", "his": "my"},
}


@dataclass(frozen=True)
class Person:
    """Someone in a story.

    Attributes:
        name: what others call them.
        pronoun: she, he, or I where they tell the story.
    """

    name: str
    pronoun: str

    @property
    def called(self) -> str:
        """How the story names them: their name, or I."""
        return "I" if self.pronoun == "I" else self.name

    def form(self, form: str) -> str:
        """A word of theirs: he, him, his (their pronouns), obj (name or me), name, or a verb of speech with them.

        Raises:
            KeyError: there is no such form.
        """
        if form in ("said", "asked", "thought"):
            return f"{self.called} {form}"
        obj = "me" if self.pronoun == "I" else self.name
        return {**_PRONOUNS[self.pronoun], "obj": obj, "name": self.name}[form]

    @property
    def possessive(self) -> str:
        """Mia's, or my."""
        return "my" if self.pronoun == "I" else f"{self.name}'s"
