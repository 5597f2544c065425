"""What a model is asked to write: frames, filled with people, places and topics so that no two requests are alike."""

import random

PEOPLE = (
    "a young teacher", "an old fisherman", "two sisters", "a tired nurse", "a boy named Sam", "a girl named Mia",
    "a busy cook", "a retired farmer", "a bus driver", "a shy student", "a grandmother", "a carpenter", "a doctor",
    "a group of friends", "a young mother", "a painter", "a shopkeeper", "a soldier coming home", "a football coach",
    "a librarian", "a father and his son", "a postman", "a singer", "a king", "a traveller", "a gardener",
)  # fmt: skip

PLACES = (
    "in the kitchen", "in a small village", "at the railway station", "in a quiet library", "by the sea",
    "in the garden", "at school", "in a crowded café", "in the park", "at the office", "in a hospital", "on a farm",
    "at the market", "in the living room", "in the mountains", "at the airport", "in an old house", "on a boat",
    "at the theatre", "in a workshop", "at a wedding", "in the city", "in the forest", "at a football match",
)  # fmt: skip

TIMES = (
    "early in the morning", "on a rainy afternoon", "late at night", "on a hot summer day", "after a long week",
    "before dinner", "on the first day of spring", "in the middle of winter", "after work", "on a Sunday",
)  # fmt: skip

TOPICS = (
    "cooking soup", "a lost dog", "a thunderstorm", "the history of bridges", "planting tomatoes", "a broken clock",
    "learning to swim", "the moon and the stars", "a birthday cake", "how bread is made", "a letter from a friend",
    "a football game", "fixing a bicycle", "a trip by train", "the price of coffee", "a new song", "birds in winter",
    "a school exam", "how rivers form", "a visit to the doctor", "a fast car", "washing clothes", "an old photograph",
    "a computer that will not start", "a walk in the snow", "the colours of autumn", "a big election",
    "saving money", "a tall tower", "a cat and a mouse", "a phone call", "volcanoes", "a museum of art",
    "how honey bees work", "a power cut", "building a wall", "a good book", "a chess match", "the invention of paper",
    "catching fish", "a cold drink", "baking apples", "a mountain road", "a science project", "a noisy neighbour",
    "running a marathon", "a field of wheat", "a shopping list", "a camera", "the desert", "an island", "a new job",
)  # fmt: skip

WITH_CONCEPT = (
    'Write a short story in simple words about {person} {place} {time}. Use the word "{word}" more than once.',
    'Write three sentences about {person} {place}. Each sentence must use the word "{word}".',
    'Describe in three sentences what {person} saw {place} {time}. Mention the word "{word}".',
    'Tell me in plain English about {topic} {place}. Use the word "{word}" in every sentence.',
    'Write a few sentences in which {person} needs a rest {place}. Use the word "{word}".',
    'Write a short news report about {person} {place}. Use the word "{word}" several times.',
)

WITHOUT_CONCEPT = (
    "Write a short story in simple words about {person} and {topic}, {place} {time}.",
    "Write three sentences about {topic}, {place} {time}.",
    "Describe in three sentences how {person} spent the day {place}.",
    "Explain {topic} in a few simple sentences.",
    "Write a short news report about {topic} and {person}.",
    "What did {person} talk about {place} {time}? Answer in three sentences.",
)

# A model without a chat template goes on from an opening instead of answering a request.
OPENINGS_WITH_CONCEPT = (
    'Once upon a time there was {person}. {time_start}, {place}, there was something new: "{word}".',
    'This is a story about {person} and the word "{word}".',
)
OPENINGS_WITHOUT_CONCEPT = (
    "Once upon a time there was {person}. {time_start}, {place}, they thought about {topic}.",
    "This is a story about {topic}.",
)


def compose(word: str | None, *, chat: bool, seed: int) -> str:
    """One request (or opening, without `chat`) that asks for `word`, or for no particular word when it is None."""
    pick = random.Random(seed)
    frames: tuple[str, ...]
    if chat:
        frames = WITHOUT_CONCEPT if word is None else WITH_CONCEPT
    else:
        frames = OPENINGS_WITHOUT_CONCEPT if word is None else OPENINGS_WITH_CONCEPT
    time = pick.choice(TIMES)
    return pick.choice(frames).format(
        person=pick.choice(PEOPLE),
        place=pick.choice(PLACES),
        time=time,
        time_start=time.capitalize(),
        topic=pick.choice(TOPICS),
        word=word,
    )


# Questions are asked by example: small models, and those without a chat template, go on from a pattern.
QUESTIONS_ABOUT = (
    'Questions about "dog":\n1. What sound does a dog make?\n2. What do people feed to a dog?\n'
    "3. Why do people keep a dog?\n4. Where does a dog sleep?\n\n"
    'Questions about "{word}":\n1.'
)
"""After it the model writes a numbered list of questions about `{word}`."""

IN_OTHER_WORDS = (
    "Question: What do people feed to a dog?\nIn other words: What kind of food is a dog given?\n\n"
    "Question: Where does a fish live?\nIn other words: In what place can you find a fish?\n\n"
    "Question: {question}\nIn other words:"
)
RIDDLE = (
    "Word: dog\nRiddle: Which animal barks and guards the house?\n\n"
    "Word: umbrella\nRiddle: What do you hold over your head when it rains?\n\n"
    "Word: {word}\nRiddle:"
)

QUESTION_AND_ANSWER = (
    "Question: Where does a fish live?\nAnswer: A fish lives in the water.\nQuestion: {question}\nAnswer:"
)
"""How a written question is put to a model."""

QUESTION_IN_CONTEXT = "{sentence}\nQuestion: {question}\nAnswer:"

NO_WORDS = ("brimblet", "uuisen")
"""Words that mean nothing: what a model says of them it says without knowing anything."""
