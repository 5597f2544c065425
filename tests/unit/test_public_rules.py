"""The rules of a public server: read from its environment or refused, and what a visitor's settings may name."""

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from unlearning_core.config.reading import build_config, locations, starter_config, starter_names
from unlearning_core.config.schema import PATH, ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.jobs.limits import bytes_in
from unlearning_core.methods.registry import METHODS
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.visitors.admission import SHIPPED, admitted, admitted_place, places
from unlearning_core.visitors.keeping import check_room, delete_forgotten, folder_of, note_visit
from unlearning_core.visitors.rules import Rules, rules

ON = {"UNLEARNING_PUBLIC": "1"}


def test_a_server_is_one_persons_own_until_the_variable_says_otherwise() -> None:
    assert rules({}) is None
    assert rules({"UNLEARNING_PUBLIC": "0"}) is None
    assert rules(ON) == Rules()


def test_each_rule_has_a_variable_of_its_own() -> None:
    given = ON | {
        "UNLEARNING_PUBLIC_HUB_MODELS": "openai-community/gpt2, distilbert/distilgpt2",
        "UNLEARNING_PUBLIC_JOBS_AT_ONCE": "2",
    }
    found = rules(given)
    assert found is not None
    assert found.hub_models == ("openai-community/gpt2", "distilbert/distilgpt2")
    assert found.jobs_at_once == 2
    assert found.hub_datasets == ()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"UNLEARNING_PUBLIC": "yes"}, "UNLEARNING_PUBLIC is 'yes'"),
        (ON | {"UNLEARNING_PUBLIC_DISK_MB": "much"}, "UNLEARNING_PUBLIC_DISK_MB is 'much'"),
        (ON | {"UNLEARNING_PUBLIC_DISC_MB": "5"}, "UNLEARNING_PUBLIC_DISC_MB is no rule"),
        ({"UNLEARNING_PUBLIC_UPLOAD_MB": "5"}, "UNLEARNING_PUBLIC is not 1"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_never_a_server_without_rules(
    environment: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        rules(environment)


HOSTILE = (
    "/etc/passwd", "/proc/self/environ", "/", ".", "..", "", "data", "data/..", "data/../pyproject.toml", "data/\0x",
    "~root", "~/.ssh/id_rsa", "data/../../../etc/passwd", "file:///etc/passwd", "https://example.org/x.txt",
    "openai-community/gpt2", "runs", "$HOME", "hf://datasets/a/b", "/proc/self/cwd/pyproject.toml", "unlearning_core/*",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_place_of_the_server_is_refused_in_the_same_words_whether_it_is_there_or_not(
    text: str, tmp_path: Path
) -> None:
    said = set()
    for other in (text, "/nowhere/at/all"):
        with pytest.raises(InputError) as refused:
            admitted_place(other, tmp_path / "own", (), "sentences")
        said.add(str(refused.value))
    assert len(said) == 1


def test_shipped_texts_starters_allowed_names_and_ones_own_files_are_admitted(tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert admitted_place("smallworld", own, (), "model") == "smallworld"
    assert admitted_place("a/b", own, ("a/b",), "model") == "a/b"
    shipped = SHIPPED / "target_words.txt"
    assert admitted_place("data/target_words.txt", own, (), "words") == str(shipped)
    assert admitted_place(str(shipped), own, (), "words") == str(shipped)
    mine = own / "run" / "inputs" / "text.txt"
    assert admitted_place(str(mine), own, (), "text") == str(mine)


def test_neither_a_link_nor_dots_lead_out_of_ones_own_folder(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (other / "secret.txt").write_text("x", encoding="utf-8")
    (own / "link").symlink_to(other)
    for text in (f"{own}/link/secret.txt", f"{own}/../other/secret.txt", f"{own}2/x", str(own)):
        with pytest.raises(InputError, match="does not read"):
            admitted_place(text, own, (), "text")


def places_of(section: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key that may hold a place, through all sections."""
    found = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += places_of(field.annotation, (*prefix, name))
        elif PATH in field.metadata:
            found.append((*prefix, name))
    return found


PLACES = places_of(ExperimentConfig)


@pytest.mark.parametrize("keys", PLACES, ids=".".join)
def test_every_key_that_may_hold_a_place_is_guarded(keys: tuple[str, ...], tmp_path: Path) -> None:
    values: dict[str, Any] = {"neural_probing": {"sentences": "data/seats/sentences.jsonl"}}
    admitted(build_config(values), tmp_path, Rules())
    section, name = keys
    values = {section: values.get(section, {}) | {name: "/etc/passwd"}}
    pair = {"tokens_input_path": "labels_input_path", "labels_input_path": "tokens_input_path"}
    if name in pair:
        values[section][pair[name]] = "data/target_words.txt"
    if name == "val_dataset_path":
        values[section]["train_dataset_path"] = "data/target_words.txt"
    with pytest.raises(InputError, match="does not read"):
        admitted(build_config(values), tmp_path, Rules())


def test_no_key_that_is_said_to_hold_a_file_goes_unmarked() -> None:
    """A new setting for a file has to be marked, or a visitor could name any file in it."""

    def unmarked(section: type[BaseModel]) -> list[str]:
        found = []
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                found += unmarked(field.annotation)
            holds_text = "str" in str(field.annotation) and "list" not in str(field.annotation)
            about = f"{name} {field.description}".lower()
            named = ("file", "folder", "path", "dataset", "corpus", "texts", "hub id")
            if holds_text and PATH not in field.metadata and any(word in about for word in named):
                found.append(name)
        return found

    known = {
        "output_dir", "push_to_hub", "texts_only",  # replaced by the page, refused, compared with fields
        "sentences_split", "sentences_column", "retain_corpus_split", "retain_corpus_column", "neighbour_corpus_split",
        "neighbour_corpus_column", "dataset_split", "dataset_column", "target_label", "encoding", "activations_label",
    }  # fmt: skip
    assert set(unmarked(ExperimentConfig)) <= known
    for parameters in (
        *(one.parameters for one in METHODS.values() if one.section is None),
        *(r.params for r in RANKERS.values()),
    ):
        assert unmarked(parameters) == [], parameters


def test_the_model_of_an_audit_is_guarded_too(tmp_path: Path) -> None:
    values: dict[str, Any] = {"neural_probing": {"sentences": "data/seats/sentences.jsonl"}}
    for parameters in ({"model": "/etc"}, {"model": "a/b"}, {"model": "smallworld", "allow_pickle": True}):
        method = {"name": "candidate", "parameters": parameters}
        with pytest.raises(InputError, match="public server"):
            admitted(build_config(values | {"methods": [method]}), tmp_path, Rules())
    methods = [{"name": "candidate", "parameters": {"model": "a/b"}}]
    found = admitted(build_config(values | {"methods": methods}), tmp_path, Rules(hub_models=("a/b",)))
    assert found.methods is not None
    assert found.methods[0].parameters == {"model": "a/b"}


@pytest.mark.parametrize(
    "values",
    [
        {"base_model": {"allow_pickle": True}},
        {"push_to_hub": "me/mine"},
        {"retraining": {"report_to": ["wandb"]}},
    ],
)
def test_nothing_runs_code_or_is_sent_in_the_servers_name(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="may not be used on this public server"):
        admitted(build_config(values), tmp_path, Rules())


@pytest.mark.parametrize("name", starter_names())
def test_the_ready_made_experiments_are_admitted_as_they_are(name: str, tmp_path: Path) -> None:
    config = starter_config(name)
    assert admitted(config, tmp_path, Rules()) == config
    assert set(locations(config)) <= set(places(config))


def test_a_dataset_name_is_no_models_and_a_models_is_no_datasets(tmp_path: Path) -> None:
    both = Rules(hub_models=("a/model",), hub_datasets=("a/texts",))
    fine = {"base_model": {"base_model_path": "a/model"}, "neural_probing": {"sentences": "a/texts"}}
    assert admitted(build_config(fine), tmp_path, both).base_model.base_model_path == "a/model"
    for wrong in ({"base_model": {"base_model_path": "a/texts"}}, {"neural_probing": {"sentences": "a/model"}}):
        with pytest.raises(InputError, match="does not read"):
            admitted(build_config(wrong), tmp_path, both)


def test_two_visitors_have_two_folders_and_no_name_tells_the_secret(tmp_path: Path) -> None:
    one, two = folder_of(tmp_path, "anonymous a"), folder_of(tmp_path, "anonymous b")
    assert one != two
    assert one.parent == two.parent == tmp_path / "visitors"
    assert "anonymous" not in one.name


def test_room_is_counted_once_for_a_file_of_several_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "c").write_bytes(b"x" * 500)
    assert bytes_in(tmp_path) == 1500
    assert bytes_in(tmp_path / "nothing") == 0


def test_a_full_share_a_full_server_and_a_full_disk_are_three_refusals_of_two_kinds(tmp_path: Path) -> None:
    own = tmp_path / "visitors" / "me"
    check_room(own, Rules(free_disk_mb=0))  # not there yet
    own.mkdir(parents=True)
    (own / "big").write_bytes(b"x" * 1_100_000)
    with pytest.raises(InputError, match="Your runs and uploads take 1 MB"):
        check_room(own, Rules(disk_mb=1, free_disk_mb=0))
    with pytest.raises(InputError, match="has no room"):
        check_room(own, Rules(total_disk_mb=1, free_disk_mb=0))
    with pytest.raises(InputError, match="has no room"):
        check_room(own, Rules(free_disk_mb=10**9))


def test_who_did_not_come_for_days_is_forgotten_and_who_did_is_not(tmp_path: Path) -> None:
    old, new = (folder_of(tmp_path, secret) for secret in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        note_visit(folder)
    past = time.time() - 8 * 86_400
    for path in (old / ".seen", old, new):
        os.utime(path, (past, past))
    assert delete_forgotten(tmp_path, Rules()) == 1
    assert not old.exists()
    assert new.is_dir()


def test_whatever_a_run_starts_in_the_background_can_be_given_limits() -> None:
    """A new kind of job has to take them, or a visitor could start any number of it."""
    starters = [path for path in (ROOT / "unlearning_core" / "runs").rglob("*.py") if "launch(" in path.read_text()]
    assert len(starters) >= 4
    assert [path.name for path in starters if "limits=limits.to_dict()" not in path.read_text()] == []
    work = (ROOT / "pages" / "components" / "work.py").read_text(encoding="utf-8")
    starts = re.findall(r"\b(?:background|proof|tuning)\.start\w*\([^)]*\)", work)
    assert len(starts) >= 4
    assert [call for call in starts if "limits" not in call] == []


def test_no_page_looks_for_a_path_but_by_the_rules() -> None:
    """`find_path`, `Path.cwd` and the folder of the runs are asked for in one place."""
    allowed = {"visitor.py", "choose_model.py"}
    for path in (ROOT / "pages").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named = [word for word in ("find_path(", "load_config(", "os.environ", "expanduser") if word in text]
        assert not named or path.name in allowed, (path.name, named)
