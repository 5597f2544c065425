"""A config without test prompts is measured with beginnings of its concept's own sentences, as on the pages."""

import json
from pathlib import Path

from tests.tiny_experiment import sentences, write_experiment
from unlearning_core.config.reading import load_config, read_config_values
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run, execute, find_run


def test_prompts_of_a_config_that_names_none_are_about_its_own_concept(tmp_path: Path) -> None:
    path = write_experiment(tmp_path, neural_probing={"concept_definition": ["clock", "river"]})
    values = read_config_values(path)
    del values["test_prompts"]
    path.write_text(json.dumps(values), encoding="utf-8")
    config = load_config(path)
    run = create_run(config, tmp_path / "runs")
    execute(run, until="measure base")
    *inviting, other = dict.fromkeys(text["prompt"] for text in run.written("base") or [])
    texts = sentences(120)
    beginnings = {text.split(word)[0].strip() for text in texts for word in ("clock", "river") if word in text}
    assert len(inviting) > 1
    assert set(inviting) <= beginnings
    assert any(text.startswith(other) and "clock" not in text and "river" not in text for text in texts)
    assert RunContext(run).test_prompts == [*inviting, other]
    assert (run.config.test_prompts, find_run(config, tmp_path / "runs")) == ([], run), (
        "the same config goes on with it"
    )
