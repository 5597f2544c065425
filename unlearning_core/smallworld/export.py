"""The world's sets as files: JSON lines, `datasets`, the seed's tokens and labels, and a data card that counts them."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unlearning_core.concepts.labelling import label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.tokens_labels import write
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError
from unlearning_core.files import new_folder, write_text
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.smallworld import sets
from unlearning_core.smallworld.items import Phrasing, Text
from unlearning_core.smallworld.mentions import families_in, members_in
from unlearning_core.smallworld.question_set import question_set

Row = dict[str, Any]

WITH_FAMILY, WITHOUT = 800, 2400
"""Texts of `texts.jsonl` that mention the family, and that do not."""

RETRAIN_WITH, RETRAIN_WITHOUT = 200, 2000
"""Texts of `retrain.jsonl`; the filter has to drop the first ones."""

TEXTS_SEED = 1
"""Not the seed of the training text."""

ATTACK = 400
"""Texts of `attack.jsonl`, and as many of `attack_other.jsonl`."""

INVITING, OPENINGS = 30, 10
"""Prompts of `inviting.txt` that break off before a word of the family, and first sentences of any story."""

NONSENSE, OTHER_SENSE = 200, 60

_PHRASINGS: tuple[Phrasing, ...] = ("seen", "held_out")

_ABOUT = {
    "texts": "texts of all kinds, with and without the family, to rank and to measure on",
    "retrain": "other such texts, to be filtered of the family and retrained on",
    "forget": "statements, answered questions and completed fill-ins about the family",
    "neighbour": "the same about the families that share its contexts",
    "retain": "the same about all other families, and world facts",
    "questions": "questions about the family, with every accepted answer, a paraphrase and five wrong answers",
    "truth": "one question a fact in a held-out phrasing, for the truth ratio",
    "question_set": "questions of seven forms about the family, its neighbours and the others, to ask of every model",
    "attack": "what an attacker trains on to bring the family back; `member` where a text names just one",
    "attack_other": "the same without the family, to see whether it comes back by itself",
    "cloze": "texts that break off before the one right word",
    "facts": "world facts to complete: capitals, days, opposites, sums",
    "nonsense": "questions about words that mean nothing",
    "other_sense": "texts in which chair, bench and seat mean something else",
    "other_sense_retrain": "other such texts, to be retrained on",
}


def rows_of(family: str, *, limit: int | None = None, seed: int = TEXTS_SEED) -> dict[str, list[Row]]:
    """Every set of a family by name; a row is JSON-able and says its `phrasing` where there are two.

    Args:
        limit: at most so many rows of each phrasing in the forget, neighbour and retain sets, a seeded sample.
        seed: of that sample, of the nonsense words and of `texts`.
    """
    found: dict[str, list[Row]] = {
        "texts": _text_rows(sets.mixed_texts(family, WITH_FAMILY, WITHOUT, seed)),
        "retrain": _text_rows(sets.mixed_texts(family, RETRAIN_WITH, RETRAIN_WITHOUT, seed + 1)),
        "forget": _phrased(sets.forget_texts, family, limit, seed),
        "neighbour": _phrased(sets.neighbour_texts, family, limit, seed),
        "retain": _phrased(sets.retain_texts, family, limit, seed),
        "questions": [asdict(each) for phrasing in _PHRASINGS for each in sets.questions(phrasing, family)],
        "truth": [asdict(each) for each in sets.truth_questions(family)],
        "cloze": [asdict(each) for phrasing in _PHRASINGS for each in sets.clozes(phrasing, family)],
        "facts": [asdict(each) for phrasing in _PHRASINGS for each in sets.world_facts(phrasing)],
        "nonsense": [asdict(each) for phrasing in _PHRASINGS for each in sets.nonsense(phrasing, NONSENSE, seed)],
    }
    read = [row["text"] for name in ("texts", "retrain", "forget") for row in found[name]]
    found |= _attack(family, [*read, *(row["paraphrase"] for row in found["truth"])], seed + 2)
    found["question_set"] = [asdict(each) for each in question_set(family)]
    if family == "seats":
        measured = sets.other_sense_texts(OTHER_SENSE, seed)
        others = [text for text in sets.other_sense_texts(2 * OTHER_SENSE, seed + 3) if text not in measured]
        found |= {"other_sense": _text_rows(measured), "other_sense_retrain": _text_rows(others[:OTHER_SENSE])}
    return {name: rows for name, rows in found.items() if rows}


def _attack(family: str, read: Sequence[str], seed: int) -> dict[str, list[Row]]:
    """What an attacker trains on, with and without the family; clear of what was `read` before."""
    found: dict[str, list[Row]] = {"attack": [], "attack_other": []}
    texts = sets.mixed_texts(family, ATTACK, ATTACK, seed, beside=read)
    for row in _text_rows(texts):
        if family in row["families"]:
            named = members_in(row["text"], family)
            found["attack"].append(row | {"member": next(iter(named)) if len(named) == 1 else ""})
        else:
            found["attack_other"].append(row)
    return found


def inviting(family: str, seed: int = TEXTS_SEED) -> list[str]:
    """Prompts that invite a word of the family, then openings of stories that do not mention it."""
    openings = [each for each in sets.story_openings(4 * OPENINGS, seed) if family not in families_in(each)]
    return [*sets.inviting_prompts(family, INVITING, seed), *openings[:OPENINGS]]


def export(
    families: Sequence[str],
    target: Path,
    *,
    limit: int | None = None,
    seed: int = TEXTS_SEED,
    datasets: bool = False,
    progress: ProgressCallback = silent,
) -> Path:
    """Write the sets of each family to `target/<family>`, or to `target` itself where there is just one.

    Raises:
        InputError: a family is none of the world's.
    """
    unknown = [family for family in families if family not in sets.FAMILIES]
    if unknown:
        raise InputError(f"--family {unknown[0]}: there is no such family. Known: {', '.join(sets.FAMILIES)}.")
    for done, family in enumerate(families):
        progress(Progress(f"writing {family}", done, len(families), "families"))
        _export_family(family, target / family if len(families) > 1 else target, limit, seed, datasets)
    progress(Progress("writing the sets", len(families), len(families), "families"))
    return target


def _export_family(family: str, folder: Path, limit: int | None, seed: int, datasets: bool) -> None:
    found = rows_of(family, limit=limit, seed=seed)
    for name, rows in found.items():
        write_text(folder / f"{name}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        if datasets:
            from datasets import Dataset

            with new_folder(folder / "datasets" / name) as temporary:
                Dataset.from_list(rows).save_to_disk(temporary)
    write_text(folder / "target_words.txt", "".join(f"{word}\n" for word in sets.target_words(family)))
    write_text(folder / "inviting.txt", "".join(f"{prompt}\n" for prompt in inviting(family, seed)))
    matcher = Matcher(Concept(tuple(sets.target_words(family))))
    write(folder / family, label(as_sentences(row["text"] for row in found["texts"]), matcher))
    write_text(folder / "README.md", data_card(family, found, limit, seed))


def data_card(family: str, found: Mapping[str, Sequence[Row]], limit: int | None, seed: int) -> str:
    """What the files hold, with counts by phrasing, as Markdown."""
    lines = [
        f"# SmallWorld: {family}",
        "",
        f"Written by `python -m unlearning_core smallworld export --family {family} --seed {seed}"
        + (f" --limit {limit}" if limit else "")
        + "`; every sentence is from the world's own grammar. A held-out phrasing is in no text that the models read.",
        "",
        "| file | rows | seen phrasings | held-out phrasings | what it is |",
        "|---|---|---|---|---|",
    ]
    for name, rows in found.items():
        phrasings = Counter(row.get("phrasing") for row in rows)
        cells = [str(phrasings[each]) if phrasings[each] else "" for each in _PHRASINGS]
        lines.append(f"| `{name}.jsonl` | {len(rows)} | {cells[0]} | {cells[1]} | {_ABOUT[name]} |")
    kinds = Counter(row["kind"] for row in found["texts"])
    with_family = sum(family in row["families"] for row in found["texts"])
    lines += [
        "",
        f"`texts.jsonl`: {with_family} texts mention the family, {len(found['texts']) - with_family} do not; "
        + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        + f". `target_words.txt`: {len(sets.target_words(family))} words. `inviting.txt`: {INVITING} prompts after "
        f"which a word of the family is likely, and {OPENINGS} openings of stories. "
        f"`{family}-tokens.txt`, `-labels.txt` and "
        "`-inverse.txt`: the sentences of `texts.jsonl` in the format of the seed system and of NeuroX.",
    ]
    return "\n".join(lines) + "\n"


def _phrased(make: Any, family: str, limit: int | None, seed: int) -> list[Row]:
    rows = []
    for phrasing in _PHRASINGS:
        texts = make(family, phrasing)
        if limit is not None and len(texts) > limit:
            texts = random.Random(f"{seed}/{make.__name__}/{phrasing}").sample(texts, limit)
        rows += [row | {"phrasing": phrasing} for row in _text_rows(texts)]
    return rows


def _text_rows(texts: Iterable[Text]) -> list[Row]:
    return [asdict(text) | {"families": sorted(text.families)} for text in texts]
