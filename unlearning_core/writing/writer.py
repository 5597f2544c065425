"""Sentences written by the model itself, batched, filtered, resumable, with every prompt and seed recorded."""

import contextlib
import json
import logging
import random
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.files import disk_errors, write_json, write_text
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.writing.prompts import compose
from unlearning_core.writing.quality import opening, reason_to_drop, tidy
from unlearning_core.writing.sampling import mean_nll, sample

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

log = logging.getLogger(__name__)

SAME_OPENING = 4
"""How many sentences may begin with the same four words."""

CONCEPT_REQUESTS = 3
"""Requests that a sentence with the concept takes, where one without takes one: replies hold both kinds."""

BARREN_BATCHES = 12
"""Batches in a row without one usable sentence after which the model is given up."""


@dataclass(frozen=True)
class WriterSettings:
    """What decides the text: two runs with equal settings and the same model write the same sentences.

    Attributes:
        model: where the model comes from, as the person named it.
        words: the concept words.
        count: sentences to write in all.
        concept_share: fraction of them that hold a concept word.
        seed: of the prompts and of the sampling.
        batch_size: requests a batch.
        max_new_tokens: length of a reply.
        temperature: of the sampling; lower is plainer.
        top_p: probability mass sampled from.
        highest_nll: mean nats a token above which a sentence counts as broken.
        revision: of a Hub model; None: the newest.
        extra_tokens: what was done about tokens without a row in the embedding: refuse, resize or drop.
    """

    model: str
    words: tuple[str, ...]
    count: int
    concept_share: float = 0.5
    seed: int = 0
    batch_size: int = 64
    max_new_tokens: int = 80
    temperature: float = 0.7
    top_p: float = 0.92
    highest_nll: float = 4.3
    revision: str | None = None
    extra_tokens: str = "refuse"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"count is {self.count}; expected the number of sentences to write, 1 or more.")
        if not 0 <= self.concept_share <= 1:
            raise InputError(f"concept_share is {self.concept_share}; expected a fraction between 0 and 1.")


def writing_dtype() -> str:
    """bfloat16 where this processor multiplies it natively, which writes about twice as fast; else the default."""
    import torch

    # Queried by a private name because torch offers no public one.
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bfloat16" if not torch.cuda.is_available() and native() else "auto"


@dataclass
class _State:
    """What has been written so far; rebuilt from the journal, so that a stopped run goes on where it was."""

    sentences: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    barren: int = 0
    seen: set[str] = field(default_factory=set)
    openings: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)

    def have(self, concept: bool) -> int:
        return sum(sentence["concept"] == concept for sentence in self.sentences)

    def add(self, batch: dict[str, Any]) -> None:
        self.batches += 1
        self.barren = 0 if batch["sentences"] else self.barren + 1
        self.dropped.update(batch["dropped"])
        self.sentences += batch["sentences"]
        for sentence in batch["sentences"]:
            self.seen.add(sentence["text"].casefold())
            self.openings[opening(sentence["text"])] += 1
            self.words.update(sentence["words"])


def write_sentences(
    loaded: "LoadedModel",
    concept: Concept,
    output: Path,
    settings: WriterSettings,
    progress: ProgressCallback = silent,
) -> dict[str, Any]:
    """Fill `output` (.jsonl, .json or .txt) with `settings.count` sentences and `output`.report.json with how.

    A stopped run leaves `output`.journal.jsonl; the same call goes on from it.

    Returns:
        the report: settings, counts, sentences a concept word, what was dropped and why, batches.

    Raises:
        WorkFailed: the model writes nothing usable.
        InputError: the journal beside `output` belongs to other settings.
    """
    journal = output.with_name(output.name + ".journal.jsonl")
    state = _resume(journal, settings)
    matcher = Matcher(concept)
    wanted = {True: round(settings.count * settings.concept_share)}
    wanted[False] = settings.count - wanted[True]
    while any(state.have(kind) < wanted[kind] for kind in wanted):
        _report(progress, state, wanted)
        if state.barren >= BARREN_BATCHES:
            raise WorkFailed(
                f"The model wrote no usable sentence in {state.barren} batches in a row ({len(state.sentences)} of "
                f"{settings.count} so far; dropped: {dict(state.dropped)}). Take a larger or instruction-tuned model, "
                "or give sentences of your own. What was written is kept and the same command goes on from it."
            )
        batch = _write_batch(loaded, matcher, concept.words, settings, state, wanted)
        with disk_errors(journal), journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(batch, ensure_ascii=False) + "\n")
        state.add(batch)
        log.info("writing sentences: batch %d, %d of %d", state.batches, len(state.sentences), settings.count)
    _report(progress, state, wanted)
    return _finish(output, journal, settings, state, wanted)


def _report(progress: ProgressCallback, state: _State, wanted: dict[bool, int]) -> None:
    done = sum(min(state.have(kind), wanted[kind]) for kind in wanted)
    progress(Progress("writing sentences", done, sum(wanted.values()), "sentences"))


def _resume(journal: Path, settings: WriterSettings) -> _State:
    state = _State()
    head = {"settings": asdict(settings) | {"words": list(settings.words)}}
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    if lines and json.loads(lines[0]) != head:
        raise InputError(
            f"{journal} belongs to a run with other settings. Delete it to start anew, or repeat the earlier "
            "words, count and seed to go on from it."
        )
    with contextlib.suppress(json.JSONDecodeError):  # the last line of a run that was killed while it wrote
        for line in lines[1:]:
            state.add(json.loads(line))
    # Rewritten so that a torn last line does not stay in the middle of the file.
    kept = [json.dumps(head, ensure_ascii=False), *lines[1 : state.batches + 1]]
    write_text(journal, "\n".join(kept) + "\n")
    return state


def _write_batch(
    loaded: "LoadedModel",
    matcher: Matcher,
    words: tuple[str, ...],
    settings: WriterSettings,
    state: _State,
    wanted: dict[bool, int],
) -> dict[str, Any]:
    from unlearning_core.evaluation.chat import has_chat_template

    chat = has_chat_template(loaded)
    missing = {kind: max(0, wanted[kind] - state.have(kind)) for kind in wanted}
    need = CONCEPT_REQUESTS * missing[True]
    with_concept = round(settings.batch_size * need / max(1, need + missing[False]))
    first = settings.seed * 1_000_003 + state.batches * settings.batch_size
    # Words that came up seldom so far are asked for more often.
    rarity = [1 / (5 + state.words[word.casefold()]) for word in words]
    asked = random.Random(first).choices(words, rarity, k=with_concept)
    prompts = [
        compose(asked[index] if index < with_concept else None, chat=chat, seed=first + index)
        for index in range(settings.batch_size)
    ]
    replies = sample(loaded, prompts, settings, seed=first)
    dropped: Counter[str] = Counter()
    candidates = []
    seen, openings = set(state.seen), Counter(state.openings)
    for prompt, reply in zip(prompts, replies, strict=True):
        for sentence in split_sentences(tidy(reply)):
            reason = (
                reason_to_drop(sentence)
                or (sentence.casefold() in seen and "duplicate")
                or (openings[opening(sentence)] >= SAME_OPENING and "too many begin like this")
            )
            if reason:
                dropped[reason] += 1
                continue
            seen.add(sentence.casefold())
            openings[opening(sentence)] += 1
            candidates.append((sentence, prompt))
    kept = []
    for (text, prompt), nll in zip(candidates, mean_nll(loaded, [text for text, _ in candidates]), strict=True):
        if nll > settings.highest_nll:
            dropped["not fluent"] += 1
            continue
        found = [span.word.casefold() for span in matcher.spans(text)]
        kept.append({"text": text, "concept": bool(found), "words": found, "prompt": prompt, "nll": round(nll, 3)})
    return {"batch": state.batches, "sentences": kept, "dropped": dict(dropped)}


def _finish(
    output: Path, journal: Path, settings: WriterSettings, state: _State, wanted: dict[bool, int]
) -> dict[str, Any]:
    left = dict(wanted)
    chosen = []
    for sentence in state.sentences:
        if left[sentence["concept"]] > 0:
            left[sentence["concept"]] -= 1
            chosen.append(sentence)
    counts = Counter(word for sentence in chosen for word in sentence["words"])
    report = {
        "settings": asdict(settings) | {"words": list(settings.words)},
        "sentences": len(chosen),
        "with_concept": sum(sentence["concept"] for sentence in chosen),
        "without_concept": sum(not sentence["concept"] for sentence in chosen),
        "by_word": dict(counts.most_common()),
        "dropped": dict(state.dropped.most_common()),
        "batches": state.batches,
    }
    write_json(output.with_name(output.name + ".report.json"), report)
    texts = [sentence["text"] for sentence in chosen]
    if output.suffix.lower() == ".json":
        lines = [json.dumps(texts, indent=1, ensure_ascii=False)]
    elif output.suffix.lower() == ".txt":
        lines = texts
    else:
        rows = ({key: sentence[key] for key in ("text", "concept", "prompt")} for sentence in chosen)
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    write_text(output, "".join(line + "\n" for line in lines))
    journal.unlink(missing_ok=True)
    return report
