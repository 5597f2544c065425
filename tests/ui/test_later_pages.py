"""Concept to Compare: what is missing is said, bad input gives one sentence, and every page works on a tiny model."""

import contextlib
import json

import psutil
import pytest

from pages.components.retrain.learning_rate import OWN
from tests.ui.pieces import NewRun, OpenPage, button, chart, fine, labelled, only_error
from unlearning_core.methods.registry import state_title
from unlearning_core.runs import background

LATER = ("concept", "neurons", "prune", "retrain", "compare")


@pytest.mark.parametrize("page", LATER)
def test_without_a_run_a_page_says_that_a_model_is_needed(open_page: OpenPage, page: str) -> None:
    app = fine(open_page(page))
    assert any("Choose a model first" in message.value for message in app.info)
    assert app.get("page_link")


@pytest.mark.parametrize(
    ("page", "done", "missing"),
    [
        ("neurons", None, "which words are the concept"),
        ("prune", "label", "Rank the neurons first"),
        ("retrain", "rank", "keep a cut first"),
        ("compare", "rank", "keep a cut first"),
    ],
)
def test_a_page_names_the_step_that_is_missing(
    open_page: OpenPage, new_run: NewRun, page: str, done: str | None, missing: str
) -> None:
    app = fine(open_page(page, new_run(done)))
    assert any(missing in message.value for message in app.info)


def test_labelling_shows_counts_words_that_never_occur_and_marked_sentences(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run()
    app = open_page("concept", run)
    labelled(app.text_area, "Concept words").set_value("chair\nsofa\nhammock").run()
    fine(button(app, "Label the sentences").click().run())
    assert labelled(app.metric, "With the concept").value == "16"
    assert labelled(app.metric, "Without it").value == "32"
    assert any("never occur: hammock" in caption.value for caption in app.caption)
    assert any(":orange-background[**chair**]" in tick.label for tick in app.checkbox)
    assert run.config.neural_probing.concept_definition == ["chair", "sofa", "hammock"]
    names = {download.label for download in app.get("download_button")}
    assert names == {"Download chair-tokens.txt", "Download chair-labels.txt", "Download chair-inverse.txt"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [("", "empty"), ("zebra", "None of the concept's 1 words occurs"), ("!!", "no letter or digit")],
)
def test_words_that_cannot_be_used_give_one_sentence(
    open_page: OpenPage, new_run: NewRun, words: str, sentence: str
) -> None:
    app = open_page("concept", new_run())
    labelled(app.text_area, "Concept words").set_value(words).run()
    button(app, "Label the sentences").click().run()
    assert sentence in only_error(app)


def test_sentences_that_do_not_exist_give_one_sentence(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("concept", new_run())
    labelled(app.text_input, "File, folder or dataset").set_value("/nowhere/text.txt").run()
    button(app, "Label the sentences").click().run()
    assert "does not exist" in only_error(app)


def test_words_that_are_not_utf8_give_one_sentence(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("concept", new_run())
    labelled(app.file_uploader, "Words from a file").set_value(("words.txt", b"chair\ncaf\xe9", "text/plain")).run()
    assert "UTF-8" in only_error(app)


def test_ranking_draws_the_heatmap_and_lists_the_first_neurons(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label")
    app = open_page("neurons", run)
    fine(button(app, "Rank the neurons").click().run())
    assert any("144 MLP neurons, ranked by" in text.value for text in app.markdown)
    assert chart(app, 0)["data"][0]["type"] == "heatmap"
    table = app.dataframe[0].value
    assert list(table["rank"]) == sorted(table["rank"])
    assert run.status()["stages"]["rank"]["state"] == "finished"


def test_a_parameter_out_of_range_gives_one_sentence(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("neurons", new_run("label"))
    labelled(app.number_input, "Eps").set_value(-1.0).run()
    button(app, "Rank the neurons").click().run()
    assert "eps" in only_error(app)


def test_a_slider_move_changes_the_cut_and_keeping_it_measures_it(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = fine(open_page("prune", run))
    assert labelled(app.metric, "Neurons cut").value == "7"
    labelled(app.slider, "Neurons cut, % of those ranked").set_value(10.0).run()
    assert labelled(app.metric, "Neurons cut").value == "14"
    assert run.config.neural_probing.prune_ratio == 0.05
    fine(button(app, "Keep this cut").click().run())
    assert run.config.neural_probing.prune_ratio == 0.1
    assert run.status()["stages"]["prune"]["summary"]["cut"] == 14
    table = app.dataframe[0].value
    assert list(table.columns) == ["", "Base", "Pruned"]


def test_the_preview_leaves_the_shared_model_as_it_was(open_page: OpenPage, new_run: NewRun) -> None:
    import torch

    from pages.components.model_cache import base_model

    run = new_run("rank")
    app = open_page("prune", run)
    with base_model(run) as loaded:
        before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    labelled(app.slider, "Neurons cut, % of those ranked").set_value(10.0).run()
    button(app, "Keep this cut").click().run()
    with base_model(run) as loaded:
        after = loaded.model.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_emptied_prompt_box_gives_the_prompts_of_the_run_back(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("prune", new_run("rank"))
    labelled(app.text_area, "One prompt a line").set_value("A boat").run()
    fine(labelled(app.text_area, "One prompt a line").set_value("  ").run())
    assert labelled(app.text_area, "One prompt a line").value == "The chair\nShe put the"


@pytest.mark.parametrize(("rate", "sentence"), [("fast", "2e"), ("-1", "learning")])
def test_a_learning_rate_that_is_none_gives_one_sentence(
    open_page: OpenPage, new_run: NewRun, rate: str, sentence: str
) -> None:
    app = open_page("retrain", new_run("measure pruned"))
    labelled(app.segmented_control, "Learning rate").set_value(OWN).run()
    labelled(app.text_input, "Own learning rate").set_value(rate).run()
    button(app, "Start the retraining").click().run()
    assert sentence in only_error(app)


def test_compare_shows_what_is_there_before_retraining(open_page: OpenPage, new_run: NewRun) -> None:
    app = fine(open_page("compare", new_run("measure pruned")))
    assert any("not retrained yet" in message.value for message in app.info)
    assert list(app.dataframe[0].value.columns) == ["", "Base", "Pruned"]


def test_compare_shows_all_stages_and_continues_a_typed_prompt_on_each(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("report")
    app = fine(open_page("compare", run))
    assert list(app.dataframe[0].value.columns) == ["", "Base", "Pruned", "Retrained"]
    written = run.generations() or {}
    assert [text["prompt"] for text in written["base"]] == ["The chair", "The chair", "She put the", "She put the"]
    offered = json.dumps([download.label for download in app.get("download_button")])
    assert all(name in offered for name in ("metrics.json", "generations.json", "config.json", "recipe.json"))
    labelled(app.text_input, "Prompt").set_value("The old man")
    fine(button(app, "Write").click().run())


def test_compare_says_how_close_to_never_having_known(
    open_page: OpenPage, new_run: NewRun, never_knew: dict[str, str]
) -> None:
    run = new_run("report", never_knew=never_knew)
    app = fine(open_page("compare", run))
    assert any("never having known" in section.label for section in app.expander)
    (table,) = [table.value for table in app.table]
    assert list(table.columns) == ["Base", "Pruned", "Retrained", "what it says"]
    metrics = run.metrics() or {}
    for title, name in (("concept", "forget"), ("other text", "retain")):
        for stage, values in metrics.items():
            assert table.loc[f"Divergence from never-knew, {title} (nats/token)", state_title(stage)].split() == [
                f"{values[f'never_knew_kl_{name}']:.3f}", "±", f"{1.96 * values[f'never_knew_kl_{name}_stderr']:.3f}",
            ]  # fmt: skip
    assert not [title for title in table.index if "neighbours" in title]


def test_without_a_never_knew_model_compare_does_not_speak_of_one(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("compare", new_run("measure pruned"))
    assert not app.table


@pytest.mark.parametrize(("words", "kept"), [("chair\nstool", True), ("river", False)])
def test_another_concept_is_not_compared_with_a_model_that_never_knew_this_one(
    open_page: OpenPage, new_run: NewRun, never_knew: dict[str, str], words: str, kept: bool
) -> None:
    run = new_run(never_knew=never_knew)
    app = open_page("concept", run)
    labelled(app.text_area, "Concept words").set_value(words).run()
    fine(button(app, "Label the sentences").click().run())
    assert (run.config.never_knew.model is not None) == kept


def test_a_typed_prompt_must_not_be_empty(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("compare", new_run("measure pruned"))
    button(app, "Write").click().run()
    assert "prompt is empty" in only_error(app)


def test_a_model_that_writes_nothing_usable_says_so(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("concept", new_run())
    labelled(app.radio, "Sentences").set_value("Let the model write them").run()
    button(app, "Let the model write sentences").click().run(timeout=800)
    assert "no usable sentence" in only_error(app)


def test_a_run_that_is_being_retrained_is_left_alone(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("measure pruned", retraining={"max_steps": 2000})
    process = background.start(run, "report")
    app = open_page("neurons", run)
    button(app, "Change").click().run()
    button(app, "Rank the neurons").click().run()
    background.stop(run)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(process).wait(800)
    assert "being retrained" in only_error(app)
