"""A run that a notebook made, opened on the pages where the notebook's link leads."""

from pathlib import Path

import unlearning_core as uw
from tests.ui.conftest import WORDS, sentences
from tests.ui.pieces import OpenPage, fine
from unlearning_core.progress import silent

SMALL = {
    "evaluation.max_sentences": 6, "generation.samples": 1, "generation.max_new_tokens": 3, "proof.max_questions": 8,
}  # fmt: skip


def test_the_pages_show_what_a_notebook_made(open_page: OpenPage, runs: Path, tiny_folder: Path) -> None:
    model = uw.load(tiny_folder, device="cpu", progress=silent)
    concept = model.label(WORDS, sentences=sentences(), settings=SMALL)
    edited = concept.rank("activation_ratio").edit(ratio=0.05, token_rows=0)
    assert edited.run.folder.parent == runs
    drawn = "".join(step._repr_html_() for step in (concept, concept.rank("activation_ratio"), edited))
    cut = edited.run.recipe().mask.cut
    expected = {"concept": "chair", "neurons": "Layer", "prune": f"The cut that is kept: {cut:,} of"}
    for page, said in expected.items():
        assert f"/{page}?run={edited.run.id}" in drawn
        app = fine(open_page(page, edited.run))
        assert said in " ".join(str(block.value) for block in (*app.markdown, *app.subheader, *app.metric))
