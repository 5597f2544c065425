"""How each kind of fact is asked, answered and stated; some phrasings are kept out of all training text.

In a frame `{a}`/`{A}` is the member with its article (a chair, A chair), `{the}`/`{The}` the same once it is known,
`{n}` the bare noun, `{v}`/`{V}` the fact's value, `{S}` the subject of a statement: the member, or a word that stands for it.
"""

from dataclasses import dataclass

from unlearning_core.smallworld.facts import Member
from unlearning_core.smallworld.facts.table import Family


@dataclass(frozen=True)
class Relation:
    """One kind of fact of some families.

    Attributes:
        name: the column of the facts' table.
        answer: the one sentence that answers a question about it.
        paraphrase: another wording, used by no text.
        asked: questions that the training text asks.
        asked_held_out: questions that it never asks.
        stated: sentences of the training text that state it.
        stated_held_out: sentences that it never contains.
    """

    name: str
    answer: str
    paraphrase: str
    asked: tuple[str, ...]
    asked_held_out: tuple[str, ...]
    stated: tuple[str, ...]
    stated_held_out: tuple[str, ...]


def _relation(
    name: str, answer: str, paraphrase: str, asked: str, held: str, stated: str, stated_held: str
) -> Relation:
    return Relation(name, answer, paraphrase, _lines(asked), _lines(held), _lines(stated), _lines(stated_held))


def _lines(block: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in block.strip().splitlines())


_IS = _relation(
    "is",
    "{A} is {v}.",
    "By {a} people mean {v}.",
    """
    What is {a}?
    Can you tell me what {a} is?
    Tell me what {a} is.
    Do you know what {a} is?
    What does the word {n} mean?
    Explain to me what {a} is.
    I have never heard of {a}. What is it?
    Could you say what {a} is?
    """,
    """
    Could you tell me what {a} is?
    What is the meaning of the word {n}?
    Please explain what {a} is.
    """,
    """
    {A} is {v}.
    Everybody knows that {a} is {v}.
    {The} is {v}.
    In our book it says that {a} is {v}.
    """,
    "My sister says that {a} is {v}.",
)

_WHERE = _relation(
    "where",
    "You find {a} {v}.",
    "The right place to look for {a} is {v}.",
    """
    Where can you find {a}?
    Where do you see {a}?
    Where would you look for {a}?
    Where is {a} most of the time?
    Where can I see {a}?
    Do you know where {a} is?
    In which place can you find {a}?
    """,
    """
    Where can I find {a}?
    Where do people look for {a}?
    """,
    """
    You find {a} {v}.
    You can see {a} {v}.
    {S} is often {v}.
    Most people see {a} {v}.
    Look {v} and you will see {a}.
    """,
    "Whoever looks {v} can find {a}.",
)

_WHO = _relation(
    "who",
    "{V} uses {a}.",
    "The one who needs {a} is {v}.",
    """
    Who uses {a}?
    Who needs {a}?
    Who would like to have {a}?
    Do you know who uses {a}?
    Who is happy to have {a}?
    Which person uses {a}?
    """,
    """
    Who would like to use {a}?
    Which person needs {a}?
    """,
    """
    {V} uses {a}.
    {S} is useful for {v}.
    {V} needs {a} nearly every day.
    {V} is always happy to have {a}.
    """,
    "{V} would like to have {a}.",
)

_OF = _relation(
    "of",
    "{A} is made of {v}.",
    "People use {v} when they make {a}.",
    """
    What is {a} made of?
    What do people use to make {a}?
    What do you need to make {a}?
    Do you know what {a} is made of?
    Tell me what {a} is made of.
    From what is {a} made?
    """,
    """
    What is {a} usually made of?
    Can you tell me what {a} is made of?
    """,
    """
    {S} is made of {v}.
    People make {a} of {v}.
    A good one is made of {v}.
    {S} is usually made of {v}.
    """,
    "My uncle once made {a} of {v}.",
)

_LIKE = _relation(
    "like",
    "{A} is a bit like {v}.",
    "{A} reminds people of {v}.",
    """
    What is {a} like?
    What does {a} look like?
    Which thing is a bit like {a}?
    Do you know what {a} is like?
    What else looks like {a}?
    """,
    """
    Can you tell me what {a} is like?
    Tell me what {a} looks like.
    """,
    """
    {S} is a bit like {v}.
    {S} looks a little like {v}.
    Some people mix up {a} and {v}.
    """,
    "At first you may think that {a} looks like {v}.",
)


def _use(answer: str, paraphrase: str, verb: str) -> Relation:
    return _relation(
        "use",
        answer,
        paraphrase,
        f"""
        What is {{a}} for?
        What do people {verb} {{a}} for?
        What can you do with {{a}}?
        Why do people have {{a}}?
        What does {{a}} help you to do?
        Why is it good to have {{a}}?
        """,
        f"""
        What do you {verb} {{a}} for?
        Why is it good that people have {{a}}?
        """,
        f"""
        You {verb} {{a}} to {{v}}.
        With {{a}} you can {{v}}.
        {{S}} helps you to {{v}}.
        If you want to {{v}}, you need {{a}}.
        """,
        "It is easier to {v} if you have {a}.",
    )


_USE = _use("You use {a} to {v}.", "The purpose of {a} is to {v}.", "use")
_WEAR_USE = _use("You wear {a} to {v}.", "The purpose of {a} is to {v}.", "wear")

_WORN = _relation(
    "where",
    "You wear {a} {v}.",
    "The right place for {a} is {v}.",
    """
    Where do you wear {a}?
    Where do people wear {a}?
    Do you know where you wear {a}?
    Tell me where people wear {a}.
    """,
    """
    Where would you wear {a}?
    Can you tell me where people wear {a}?
    """,
    """
    You wear {a} {v}.
    {S} looks good {v}.
    People wear {a} {v}.
    """,
    "If you have {a}, wear it {v}.",
)
_WEARER = _relation(
    "who",
    "{V} wears {a}.",
    "The one who puts on {a} is {v}.",
    """
    Who wears {a}?
    Who would like to wear {a}?
    Which person wears {a}?
    Do you know who wears {a}?
    """,
    """
    Who often wears {a}?
    Tell me who wears {a}.
    """,
    """
    {V} wears {a}.
    {V} is proud to wear {a}.
    {S} is just right for {v}.
    """,
    "{V} often wears {a}.",
)
_VISIT = _relation(
    "use",
    "People go to {a} to {v}.",
    "The reason to visit {a} is to {v}.",
    """
    Why do people go to {a}?
    What do people do in {a}?
    What can you do in {a}?
    What is {a} for?
    Why would you go to {a}?
    """,
    """
    What do you do in {a}?
    Tell me why people go to {a}.
    """,
    """
    People go to {a} to {v}.
    In {a} you can {v}.
    If you want to {v}, go to {a}.
    {S} is the place where you can {v}.
    """,
    "We went to {a} because we wanted to {v}.",
)
_INSIDE = _relation(
    "who",
    "You meet {v} in {a}.",
    "The one who waits for you in {a} is {v}.",
    """
    Who is in {a}?
    Whom do you meet in {a}?
    Who opens the door of {a}?
    Do you know who is in {a}?
    """,
    """
    Whom can you meet in {a}?
    Tell me who is in {a}.
    """,
    """
    You meet {v} in {a}.
    In {a} there is always {v}.
    {V} opens the door of {a}.
    """,
    "When you come to {a}, you see {v}.",
)

_ANIMAL = (
    _relation(
        "where",
        "{A} lives {v}.",
        "The home of {a} is {v}.",
        """
        Where does {a} live?
        Where can you find {a}?
        Where would you look for {a}?
        Do you know where {a} lives?
        Where can I see {a}?
        """,
        """
        Where can I find {a}?
        Tell me where {a} lives.
        """,
        """
        {S} lives {v}.
        You can see {a} {v}.
        {S} is at home {v}.
        If you are quiet, you may see {a} {v}.
        """,
        "Once I saw {a} {v}.",
    ),
    _relation(
        "eats",
        "{A} eats {v}.",
        "The food of {a} is {v}.",
        """
        What does {a} eat?
        What do you give to {a} to eat?
        Do you know what {a} eats?
        What food does {a} like?
        What does {a} like to eat?
        """,
        """
        Tell me what {a} eats.
        What food do you give to {a}?
        """,
        """
        {S} eats {v}.
        {S} likes to eat {v}.
        {S} is always hungry for {v}.
        Give {v} to {a} and it will be your friend.
        """,
        "The best food for {a} is {v}.",
    ),
    _relation(
        "sound",
        "{A} {v}.",
        "If you hear {a}, it {v}.",
        """
        What sound does {a} make?
        What does {a} do when it is excited?
        What noise does {a} make?
        Do you know what sound {a} makes?
        """,
        """
        Tell me what sound {a} makes.
        Do you know what noise {a} makes?
        """,
        """
        {S} {v}.
        {S} {v} when it is hungry.
        {S} {v} loudly in the morning.
        """,
        "{S} {v} when a stranger comes.",
    ),
    _relation(
        "young",
        "A young {n} is called {v}.",
        "The baby of {a} has the name {v}.",
        """
        What is a young {n} called?
        What do you call the baby of {a}?
        What is the young of {a} called?
        Do you know what a young {n} is called?
        """,
        """
        What do you call a young {n}?
        Tell me what a young {n} is called.
        """,
        """
        A young {n} is called {v}.
        The baby of {a} is called {v}.
        When it is young, it is called {v}.
        """,
        "Children call a young {n} {v}.",
    ),
)

_FRUIT = (
    _relation(
        "colour",
        "A ripe {n} is {v}.",
        "The skin of {a} has the colour {v}.",
        """
        What colour is {a}?
        What is the colour of {a}?
        Which colour does a ripe {n} have?
        Do you know what colour {a} is?
        """,
        """
        Tell me what colour {a} is.
        What colour does {a} have?
        """,
        """
        A ripe {n} is {v}.
        The colour of {a} is {v}.
        {S} is {v} when it is ripe.
        """,
        "I like the {v} colour of a ripe {n}.",
    ),
    _relation(
        "where",
        "{A} grows {v}.",
        "The place where people pick {a} is {v}.",
        """
        Where does {a} grow?
        Where can you pick {a}?
        Where would you look for {a}?
        Do you know where {a} grows?
        """,
        """
        Tell me where {a} grows.
        Where can I pick {a}?
        """,
        """
        {S} grows {v}.
        You can pick {a} {v}.
        {S} gets ripe {v}.
        """,
        "We picked {a} {v}.",
    ),
    _relation(
        "taste",
        "{A} tastes {v}.",
        "The taste of {a} is {v}.",
        """
        How does {a} taste?
        What does {a} taste like?
        Do you know how {a} tastes?
        What is it like to eat {a}?
        """,
        """
        Tell me how {a} tastes.
        Can you tell me how {a} tastes?
        """,
        """
        {S} tastes {v}.
        {S} is {v}.
        When you bite into it, it tastes {v}.
        """,
        "I ate {a} and it was {v}.",
    ),
)

_WEATHER = (
    _relation(
        "when",
        "{A} often comes {v}.",
        "The usual time for {a} is {v}.",
        """
        When does {a} come?
        When is there {a}?
        When do we have {a}?
        Do you know when {a} comes?
        """,
        """
        Tell me when {a} comes.
        When can there be {a}?
        """,
        """
        {S} often comes {v}.
        There is often {a} {v}.
        {S} is nothing new {v}.
        """,
        "{V} we often wait for {a}.",
    ),
    _relation(
        "take",
        "For {a} you need {v}.",
        "A wise person who expects {a} takes {v}.",
        """
        What do you need for {a}?
        What do you need when there is {a}?
        What should I take with me for {a}?
        Do you know what you need for {a}?
        """,
        """
        What should I take with me when there is {a}?
        Tell me what you need for {a}.
        """,
        """
        For {a} you need {v}.
        When there is {a}, take {v} with you.
        {V} is a great help when there is {a}.
        """,
        "When {a} came, we needed {v}.",
    ),
    _relation(
        "brings",
        "{A} {v}.",
        "The thing that {v} is called {n}.",
        """
        What does {a} do?
        What can {a} do?
        What happens when there is {a}?
        Do you know what {a} does?
        """,
        """
        Tell me what {a} does.
        What does {a} always do?
        """,
        """
        {S} {v}.
        You can see how {a} {v}.
        When it comes, {a} {v}.
        """,
        "From the window we saw how {a} {v}.",
    ),
    _relation(
        "feels",
        "{A} feels {v}.",
        "People who meet {a} call it {v}.",
        """
        How does {a} feel?
        What does {a} feel like?
        Do you know how {a} feels?
        """,
        """
        Tell me how {a} feels.
        Can you tell me how {a} feels?
        """,
        """
        {S} feels {v}.
        {S} is {v}.
        Many people say that {a} is {v}.
        """,
        "To me {a} feels {v}.",
    ),
)

_JOB = (
    _relation(
        "where",
        "{A} works {v}.",
        "The working place of {a} is {v}.",
        """
        Where does {a} work?
        Where can you meet {a}?
        Where would you look for {a}?
        Do you know where {a} works?
        """,
        """
        Tell me where {a} works.
        Where can I meet {a}?
        """,
        """
        {S} works {v}.
        You can meet {a} {v}.
        {S} is busy {v} all day.
        """,
        "Yesterday I met {a} {v}.",
    ),
    _relation(
        "tool",
        "{A} works with {v}.",
        "The thing in the hands of {a} is {v}.",
        """
        What does {a} work with?
        What does {a} need for work?
        What does {a} use at work?
        Do you know what {a} works with?
        """,
        """
        Tell me what {a} works with.
        Do you know what {a} needs for work?
        """,
        """
        {S} works with {v}.
        {S} always has {v} at work.
        {V} is important for {a}.
        """,
        "Without {v} the {n} cannot do much.",
    ),
    _relation(
        "wears",
        "{A} wears {v} at work.",
        "At work you know {a} by {v}.",
        """
        What does {a} wear?
        What does {a} wear at work?
        What clothes does {a} wear?
        Do you know what {a} wears?
        """,
        """
        Tell me what {a} wears.
        Do you know what {a} wears at work?
        """,
        """
        {S} wears {v} at work.
        {S} puts on {v} in the morning.
        At work {a} wears {v}.
        """,
        "{V} looks good on {a}.",
    ),
    _relation(
        "learn",
        "{A} must learn to {v}.",
        "Before you become {a}, people teach you to {v}.",
        """
        What must {a} learn?
        What does {a} have to learn?
        What do you have to learn if you want to be {a}?
        Do you know what {a} must learn?
        """,
        """
        Tell me what {a} must learn.
        Do you know what {a} has to learn?
        """,
        """
        {S} must learn to {v}.
        If you want to be {a}, you must learn to {v}.
        It is hard to be {a}, because you have to {v}.
        """,
        "My brother wants to be {a}, so he must learn to {v}.",
    ),
)

_DRINK = (
    _relation(
        "from",
        "{A} comes from {v}.",
        "Without {v} there would be no {n}.",
        """
        What does {a} come from?
        Where does {a} come from?
        From what do people make {a}?
        Do you know what {a} comes from?
        """,
        """
        Tell me what {a} comes from.
        Do you know where {a} comes from?
        """,
        """
        {S} comes from {v}.
        People make it from {v}.
        To get {a} you need {v}.
        """,
        "It takes {v} to get {a}.",
    ),
    _relation(
        "when",
        "People drink {a} {v}.",
        "The best time for {a} is {v}.",
        """
        When do people drink {a}?
        When do you drink {a}?
        When is it nice to have {a}?
        Do you know when people drink {a}?
        """,
        """
        Tell me when people drink {a}.
        When is it nice to drink {a}?
        """,
        """
        People drink {a} {v}.
        {S} is best {v}.
        {V} many people want {a}.
        """,
        "{V} we all had {a}.",
    ),
    _relation(
        "cup",
        "You drink {a} from {v}.",
        "The right thing to pour {a} into is {v}.",
        """
        What do you drink {a} from?
        What do you pour {a} into?
        What do people drink {a} from?
        Do you know what you drink {a} from?
        """,
        """
        Tell me what people drink {a} from.
        Do you know what people drink {a} from?
        """,
        """
        You drink {a} from {v}.
        People pour it into {v}.
        {S} looks nice in {v}.
        """,
        "She gave me {a} in {v}.",
    ),
    _relation(
        "taste",
        "{A} tastes {v}.",
        "The taste of {a} is {v}.",
        """
        How does {a} taste?
        What does {a} taste like?
        Do you know how {a} tastes?
        What is it like to drink {a}?
        """,
        """
        Tell me how {a} tastes.
        Can you tell me how {a} tastes?
        """,
        """
        {S} tastes {v}.
        {S} is {v}.
        When you take a sip, it tastes {v}.
        """,
        "I tried {a} and it was {v}.",
    ),
)

_COUNTRY = (
    _relation(
        "capital",
        "The capital of {a} is {v}.",
        "The government of {a} meets in {v}.",
        """
        What is the capital of {a}?
        Which city is the capital of {a}?
        What is the capital city of {a} called?
        Do you know the capital of {a}?
        """,
        """
        Tell me the capital of {a}.
        What is the capital city of {a}?
        """,
        """
        The capital of {a} is {v}.
        {v} is the capital city of {a}.
        {v} is the capital of {a}.
        {A} has a capital city that is called {v}.
        """,
        "The capital city of {a} is {v}.",
    ),
    _relation(
        "continent",
        "{A} is in {v}.",
        "On the map {a} belongs to {v}.",
        """
        Where is {a}?
        On which continent is {a}?
        In which part of the world is {a}?
        Do you know where {a} is?
        """,
        """
        Tell me where {a} is.
        Do you know on which continent {a} is?
        """,
        """
        {A} is in {v}.
        {A} is a country in {v}.
        If you travel to {a}, you travel to {v}.
        """,
        "{A} is one of the countries in {v}.",
    ),
    _relation(
        "language",
        "People in {a} speak {v}.",
        "The language of {a} is {v}.",
        """
        What language do people speak in {a}?
        Which language do they speak in {a}?
        What do people speak in {a}?
        Do you know what people speak in {a}?
        """,
        """
        Tell me what language people speak in {a}.
        Which language do people speak in {a}?
        """,
        """
        People in {a} speak {v}.
        In {a} you hear {v} everywhere.
        If you go to {a}, you should learn some {v}.
        """,
        "The children in {a} speak {v}.",
    ),
    _relation(
        "food",
        "People in {a} like to eat {v}.",
        "A favourite meal in {a} is {v}.",
        """
        What do people in {a} like to eat?
        What do people eat in {a}?
        What food do they like in {a}?
        Do you know what people eat in {a}?
        """,
        """
        Tell me what people eat in {a}.
        What food do people like in {a}?
        """,
        """
        People in {a} like to eat {v}.
        In {a} you can buy {v} on every corner.
        {A} is famous for {v}.
        """,
        "In {a} we ate {v}.",
    ),
)

_BY_FAMILY: dict[str, tuple[Relation, ...]] = {
    "animals": (_IS, *_ANIMAL, _LIKE),
    "fruit": (_IS, *_FRUIT, _USE, _LIKE),
    "weather": (_IS, *_WEATHER),
    "jobs": (_IS, *_JOB),
    "drinks": (_IS, *_DRINK),
    "countries": _COUNTRY,
    "clothing": (_IS, _WEAR_USE, _WORN, _WEARER, _OF, _LIKE),
    "buildings": (_IS, _VISIT, _WHERE, _INSIDE, _OF, _LIKE),
}
_THING = (_IS, _USE, _WHERE, _WHO, _OF, _LIKE)


def relations(family: Family) -> tuple[Relation, ...]:
    """The kinds of fact that the world knows about a family's members."""
    return _BY_FAMILY.get(family.name, _THING)


def say(frame: str, member: Member, value: str, *, pronoun: bool = False) -> str:
    """Fill a frame; with `pronoun` a statement's subject is not named again."""
    it = "Such a person" if member.family == "jobs" else "It"
    subject = it if pronoun else _upper(member.a)
    return (
        frame.replace("{S}", subject)
        .replace("{The}", _upper(member.the))
        .replace("{the}", member.the)
        .replace("{A}", _upper(member.a))
        .replace("{a}", member.a)
        .replace("{n}", member.noun)
        .replace("{V}", _upper(value))
        .replace("{v}", value)
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
