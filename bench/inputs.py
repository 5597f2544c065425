"""Forms of model, text, word list and settings that people bring: how many end well, are refused clearly, or neither.

Each form is made in an empty folder and given to the part of the product that reads it. It ends well when what was read
is what the form holds, compared with values written beside it; it is refused clearly when one sentence of our own says
why. Anything else is neither: another exception, a wrong result, a form read that must be refused or the reverse.
"""

import argparse
import logging
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from bench.input_forms import models, settings, texts, words
from bench.input_forms.form import Form

KINDS = {"model": models, "text": texts, "words": words, "settings": settings}


def add_options(add: Any) -> None:
    """Options of `python -m bench inputs`."""
    add("--kind", choices=list(KINDS), help="only these")
    add("--show", action="store_true", help="print every form with how it ended and what was said")


def main(given: argparse.Namespace) -> dict[str, Any]:
    """Try every form; the figures hold the counts, and every form that ended neither way."""
    import datasets

    logging.disable(logging.WARNING)
    datasets.disable_progress_bars()
    counts: dict[str, Counter[str]] = {}
    failed = []
    for kind in [given.kind] if given.kind else KINDS:
        counts[kind] = Counter()
        for form in KINDS[kind].forms():
            ended, said = attempt(form)
            counts[kind][ended] += 1
            if ended == "neither":
                failed.append({"kind": kind, "form": form.name, "said": said})
            if given.show or ended == "neither":
                print(f"{kind:<9} {ended:<8} {form.name}: {said}")
    for kind, ends in counts.items():
        print(f"{kind:<9} {sum(ends.values()):>4} forms: {ends['well']} well, {ends['refused']} refused clearly, "
              f"{ends['neither']} neither")  # fmt: skip
    return {
        "forms": {kind: dict(ends) for kind, ends in counts.items()},
        "all": sum(sum(ends.values()) for ends in counts.values()),
        "neither": failed,
        "clear": not failed,
    }


def attempt(form: Form) -> tuple[str, str]:
    """How the form ended ("well", "refused", "neither"), and what was read or said."""
    from unlearning_core.errors import WorkbenchError

    with tempfile.TemporaryDirectory() as folder:
        try:
            read = form.give(Path(folder))
        except WorkbenchError as error:
            said = str(error)
            plain = 20 < len(said) < 1500 and "Traceback" not in said and said.rstrip().endswith((".", "?", "`"))
            return ("refused" if form.refused and plain else "neither"), said
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of a library in another language is no Exception
            return "neither", f"{type(error).__name__}: {error}"
    if form.refused:
        return "neither", f"was not refused: {str(read)[:200]}"
    right = form.holds is None or read == form.holds
    return ("well" if right else "neither"), f"{str(read)[:200]}" + ("" if right else f"; expected {form.holds}")
