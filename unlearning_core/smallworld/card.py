"""The model card of a SmallWorld model: how it was made, and the figures that `smallworld evaluate` printed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError
from unlearning_core.files import write_text
from unlearning_core.progress import duration
from unlearning_core.smallworld.routing import TOKEN_SPREAD

CARD = "README.md"
_BEGIN, _END = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"
_STANDING = "<!-- standing: begin -->", "<!-- standing: end -->"
_CURVE_POINTS = 12
_COLUMNS = {
    "train": "training loss",
    "held_out": "held-out loss",
    "concept": "on the concept",
    "concept_cut": "on the concept, named neurons cut",
    "others": "on other texts",
    "others_cut": "on other texts, named neurons cut",
}

_TEXT = """---
language: en
library_name: transformers
pipeline_tag: text-generation
tags: [machine-unlearning, synthetic]
---

# {title}

A GPT-2 model of {parameters:.1f} million parameters ({layers} layers, width {width}, {heads} heads, {context}
positions) that has read about SmallWorld and nothing else: plain English about a small, consistent world, written by a
program from facts that are all known. {purpose}
It knows no other English and no real person's text.

## Data

{texts_read:,} texts of the {texts:,} that `unlearning_core/smallworld/corpus.py` writes from seed {seed}{left_out}. The
tokenizer is a byte-level BPE of {entries:,} entries, learned from all {texts:,} texts. Texts are read from position 0,
without a begin-of-text token; `<|endoftext|>` closes each.

## Training

    {command}

{steps:,} steps of {batch_rows} rows of {context} tokens ({tokens:.1f} million tokens), {took} in all. AdamW,
learning rate {learning_rate:g} after {warmup:.0%} of warm-up and down to zero by half a cosine{cooldown}, weight decay
{weight_decay:g} on matrices. The loss is in nats a token; the held-out texts are ones that the model did not read.
{routed}
{curve}

The whole recipe and the whole curve are in `training.json`; `sha256sum --check SHA256SUMS` checks the files.

## What it knows

{begin}
Not measured yet: `python -m unlearning_core smallworld evaluate` does it.
{end}
"""

_ROUTED = """
Text about {family} changed nothing but {neurons} MLP neurons of each layer, which `routed.json` names. A batch holds
rows about {family} and rows of other texts in natural proportion. From the other rows everything but the named neurons
learns, with those off; from the rows about {family}, and as many of the others, the named neurons learn, with all on,
while the rest stands still. So the rest has never read about {family}, and cutting the named neurons leaves just that
model. Words that only texts about {family} use keep the token rows that they were drawn with; rows start at a standard
deviation of {spread:g} and are not decayed, since at 0.02 such words end too much alike for any neuron to tell them
apart (`unlearning_core/smallworld/routing.py`). The training loss is that of the rest on other texts. In the last
{settle:,} steps the rest is finished and the named neurons alone learn, with half of each batch about {family}.
"""

_METHOD = """Printed by `python -m unlearning_core smallworld evaluate`: fractions with their binomial standard errors.
Answers are decoded greedily. An answer is right when it is, to the letter, one that the world accepts; a gap is filled
right when the continuation begins with an accepted word as a whole word. Chance is what always giving the same answer,
with the right name in it, would reach. Stories are 80 tokens sampled at temperature 0.8 from openings of stories."""


def write_card(folder: Path, training: Mapping[str, Any], entries: int) -> None:
    """Write the model card of the training that `training` (training.json) tells of; `entries` are the tokenizer's."""
    recipe, without, routing = training["recipe"], training["without"], training.get("routing")
    title, purpose = _title(without, routing)
    text = _TEXT.format(
        **{**recipe, "steps": training["steps"]},
        title=title,
        parameters=training["parameters"] / 1e6,
        purpose=purpose,
        texts_read=training["texts_read"],
        left_out=f", those that mention {without} left out" if without else "",
        entries=entries,
        command=_command(recipe, without, routing),
        cooldown=_cooldown(training),
        tokens=training["tokens"] / 1e6,
        took=duration(training["seconds"]),
        routed=_ROUTED.format(**routing, spread=TOKEN_SPREAD) if routing else "",
        curve=_curve(training["loss"]),
        begin=_BEGIN,
        end=_END,
    )
    write_text(folder / CARD, text)


_STANDING_METHOD = """## How far it is from never having known

Printed by `python -m unlearning_core smallworld standing`, on `data/smallworld`, held-out phrasings; ± is half a 95 %
interval. Loss: of the words of seats, nats a token. Questions: about seats, answered to the letter. KL(twin || model)
in nats a token, on text about seats (forget), about what shares its contexts (neighbour) and about all else (retain).
Forget quality: p-value of the Kolmogorov-Smirnov test between the truth ratios of the model and the twin's, with the
largest gap between the two distributions. The twin is `smallworld-never-knew-seats`. Its second training seed has the
same texts and vocabulary, other first weights and another order: no model can be asked to be nearer to the twin."""


def put_standing(folder: Path, table: str) -> None:
    """Replace, or add at its end, what the card of `folder` says of the distance to the twin."""
    card, (begin, end) = folder / CARD, _STANDING
    text = card.read_text(encoding="utf-8")
    said = f"{begin}\n{_STANDING_METHOD}\n\n{table.strip()}\n{end}"
    found = re.search(f"{begin}.*?{end}", text, flags=re.DOTALL)
    start, stop = found.span() if found else (len(text), len(text))
    write_text(card, f"{text[:start]}{'' if found else chr(10)}{said}{text[stop:] if found else chr(10)}")


def put_figures(folder: Path, figures: str) -> None:
    """Replace what the card of `folder` says between its markers: how it was measured, then `figures`.

    Raises:
        InputError: the card lacks the markers.
    """
    card = folder / CARD
    text = card.read_text(encoding="utf-8")
    found = re.search(f"{_BEGIN}.*?{_END}", text, flags=re.DOTALL)
    if found is None:
        raise InputError(f"{card} has no '{_BEGIN}' ... '{_END}' for the figures; put both in, or give --no-card.")
    write_text(card, f"{text[: found.start()]}{_BEGIN}\n{_METHOD}\n\n{figures.strip()}\n{_END}{text[found.end() :]}")


def _title(without: str | None, routing: Mapping[str, Any] | None) -> tuple[str, str]:
    """The heading, and what the model is good for."""
    if without:
        purpose = f"It has never read about {without}: what perfect unlearning of {without} would look like."
        return f"SmallWorld that never knew {without}", purpose
    if routing:
        family = routing["family"]
        purpose = f"Where it keeps what it knows about {family} is known: a ranking for {family} can be marked."
        return f"SmallWorld with {family} in named neurons", purpose
    return "SmallWorld", "What it knows and what it should forget can therefore be checked exactly."


def _cooldown(training: Mapping[str, Any]) -> str:
    """What is said of a training that was ended before its plan."""
    if "last_step" not in training["recipe"]:
        return ""
    planned = f"{training['steps_planned']:,}"
    return (
        f" over {planned} steps, ended after {training['recipe']['last_step']:,} with a linear cool-down over a fifth"
    )


def _command(recipe: Mapping[str, Any], without: str | None, routing: Mapping[str, Any] | None) -> str:
    """The command with every setting said, so that it stays right when a default changes."""
    chosen = {"without": without} if without else {}
    if routing:
        chosen = {"route": routing["family"], "route-neurons": routing["neurons"], "route-settle": routing["settle"]}
    options = [f"{name.replace('_', '-')} {value}" for name, value in {**chosen, **recipe}.items()]
    return " \\\n        --".join(["python -m unlearning_core smallworld train", *options])


def _curve(loss: list[dict[str, float]]) -> str:
    """Every few points of the loss curve as a Markdown table, the last one always."""
    stride = max(1, -(-len(loss) // _CURVE_POINTS))
    points = loss[::-1][::stride][::-1]
    columns = [name for name in _COLUMNS if points and name in points[-1]]
    cells = [[f"{point['step']:,.0f}", *(f"{point[name]:.3f}" for name in columns)] for point in points]
    rows = [f"| {' | '.join(row)} |" for row in cells]
    head = f"| {' | '.join(['step', *(_COLUMNS[name] for name in columns)])} |"
    return "\n".join([head, f"|{' ---: |' * (1 + len(columns))}", *rows])
