"""How to do something with a member of the world, step by step."""

import random

from unlearning_core.smallworld.facts import FAMILIES, Member
from unlearning_core.smallworld.grammar import Grammar, finish

_TOOL = """how do you {t.use}? First get {t.a}. You find it {t.where}. Then you can begin.
to {t.use}, do this: (go|walk) and look {t.where}, take {t.a}, and (begin|start).
if you want to {t.use}, first look for {t.a}. It is made of {t.of}, and you find it {t.where}. Now it is easy.
when you want to {t.use}, ask {t.who}. (He or she will lend|Such a person can lend) you {t.a}. Do not forget to bring it back.""".splitlines()

_WEAR = """how do you dress if you want to {t.use}? Take {t.a} and wear it {t.where}.
before you go out, put on {t.a}. You wear it {t.where}. Then you can {t.use}.
wash {t.the} in warm water, because it is made of {t.of}. Let it dry. Then wear it {t.where}.""".splitlines()

_BY_FAMILY: dict[str, list[str]] = {
    "tools": [
        *_TOOL,
        "do not try to {t.use} with your bare hands. Take {t.a}, go slowly, and put it back {t.where} when you are ready.",
    ],
    "clothing": _WEAR,
    "animals": """how do you look after {t.a}? Give it {t.eats} every day. Be gentle when it {t.sound}. It is happy {t.where}.
if you meet {t.a}, stand still. If it {t.sound}, give it {t.eats}. Do not touch {t.young}.""".splitlines(),
    "fruit": """how do you {t.use}? Take {t.a} that is {t.colour}. Wash it first. Cut it into pieces. It must taste {t.taste}.
first go and pick {t.a} {t.where}. It must be {t.colour}. Then you can {t.use}.""".splitlines(),
    "weather": """what do you do when there is {t.a}? Take {t.take} with you. Stay near the house. Wait until it is over.
before {t.a} comes, close the windows. Put {t.take} next to the door. Then you are ready.""".splitlines(),
    "jobs": """how do you become {t.a}? Learn to {t.learn}. Buy {t.tool}. Then look for work {t.where}.
if you want to work {t.where}, learn to {t.learn}. Put on {t.wears}. Then you are nearly {t.a}.""".splitlines(),
    "drinks": """how do you serve {t.a}? You need {t.from}. Pour it into {t.cup}. Serve it {t.when}. It must be {t.taste}.
take {t.cup} and fill it with {t.a}. Drink it slowly {t.when}.""".splitlines(),
    "buildings": """how do you {t.use}? Go to {t.a}. It is {t.where}. Ask {t.who} for help.
to {t.use}, walk to {t.the} {t.where}. Knock at the door. {t.who} will open it.""".splitlines(),
    "countries": """how do you travel to {t.a}? Go to {t.continent}. Learn some {t.language}. Begin in {t.capital}. Try {t.food}.
if you are in {t.capital}, the capital of {t.a}, eat {t.food}. Say thank you in {t.language}.""".splitlines(),
}

_GRAMMAR = Grammar({})


def instruct(rng: random.Random, member: Member | None = None) -> str:
    """One instruction about a member (drawn where none is given)."""
    if member is None:
        member = rng.choice(FAMILIES[rng.choice(list(FAMILIES))].members)
    line = rng.choice(_BY_FAMILY.get(member.family, _TOOL))
    return finish(_GRAMMAR.expand(line, {"t": member}, rng))
