"""JSON and tables from anybody: whatever is wrong is one sentence that names the file."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from unlearning_core.config.reading import build_config, load_config
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import MOST_NEURONS, Recipe
from unlearning_core.errors import InputError
from unlearning_core.jobs.events import loss_curve
from unlearning_core.jobs.liveness import is_alive
from unlearning_core.jobs.status import status
from unlearning_core.reading import MOST_DEPTH, MOST_ROWS, parse_json, parse_lines, read_json, read_table
from unlearning_core.runs.manifest import DAMAGED, Manifest

MEND = "Mend it."
TOKEN = "hf_" + "AbCdEfGhIjKlMnOp"


@pytest.mark.parametrize("value", [None, 7, "é😀", [1, {"a": [None, -0.5]}], {"": ""}])
def test_json_is_what_the_standard_library_reads(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False).encode()):
        assert parse_json(text) == value


@pytest.mark.parametrize("depth", [MOST_DEPTH + 1, 500, 990, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_nested_json_is_refused_and_not_nested_too_deep_is_not(opened: str, closed: str, depth: int) -> None:
    assert parse_json(opened * MOST_DEPTH + "1" + closed * MOST_DEPTH)
    with pytest.raises(ValueError, match="nested more than"):
        parse_json(opened * depth + "1" + closed * depth)


@pytest.mark.parametrize("text", ["", "{", "nul", "9" * 5000, '"\\ud800"', '{"\\udc00": 1}', "\0", "[1,]"])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "😀"


def test_lines_that_are_no_json_are_left_out() -> None:
    assert [*parse_lines([b'{"a": 1}', b"", b"{", b"\xff", b"[" * 5000, b"2"])] == [{"a": 1}, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe{\0}\0", r"is not UTF-8 text \(byte 0\)\. Mend it\."),
        (b"{\n 1}", "line 2, column 2: not JSON"),
        (b'{"a": "x"}', r"is damaged: a is 'x' .*Mend it\."),
        (b"[]", "is damaged: the whole"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
    ],
)
def test_a_file_says_what_is_wrong_and_what_to_do(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_json(path, dict[str, int], mend=MEND, unique=True)


def test_a_folder_or_nothing_in_the_place_of_a_file_is_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=r"cannot be read \(.*\)\. Mend it"):
            read_json(path, mend=MEND)


def test_a_table_is_read_whole_and_compared_with_its_columns(tmp_path: Path) -> None:
    path, frame = tmp_path / "a.parquet", pd.DataFrame({"site": ["mlp"], "layer": [1], "score": [0.5], "on": [True]})
    frame.to_parquet(path)
    kinds = {"site": "text", "layer": "whole numbers", "score": "numbers", "on": "true or false"}
    pd.testing.assert_frame_equal(read_table(path, kinds, mend=MEND), frame)
    for wrong in ({"none": "text"}, {"layer": "text"}, {"site": "numbers"}, {"score": "whole numbers"}):
        with pytest.raises(InputError, match=r"a\.parquet is damaged, or no such table \(.*\)\. Mend it"):
            read_table(path, wrong, mend=MEND)


def test_a_table_of_more_rows_than_any_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pq.ParquetWriter(path, (table := pd_table(np.zeros(10**6, np.int8))).schema) as writer:
        for _ in range(MOST_ROWS // 10**6 + 1):
            writer.write_table(table)
    assert path.stat().st_size < 10**6
    tracemalloc.start()
    with pytest.raises(InputError, match="claims"):
        read_table(path, {}, mend=MEND)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def pd_table(values: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.table({"a": values})


@pytest.mark.parametrize("model", [{"mlp": (3, 48)}, None], ids=["a model at hand", "no model"])
def test_a_recipe_that_claims_a_huge_model_takes_no_memory(tmp_path: Path, model: dict[str, Any] | None) -> None:
    Recipe(Mask.from_neurons({"mlp": (3, 48)}, [("mlp", 0, 1)]), "tiny", {}, 0.1).save(tmp_path)
    assert Recipe.load(tmp_path, model).mask.cut == 1
    content = json.loads((tmp_path / "recipe.json").read_text(encoding="utf-8"))
    for shapes in ({"mlp": [10**5, 10**5]}, {"mlp": [1, MOST_NEURONS + 1]}, {str(n): [10**4, 10**4] for n in range(9)}):
        (tmp_path / "recipe.json").write_text(json.dumps(content | {"shapes": shapes}), encoding="utf-8")
        tracemalloc.start()
        with pytest.raises(InputError):
            Recipe.load(tmp_path, model)
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("test_prompts", ["Paris is", f"log in with {TOKEN}"]),
        ("neural_probing.concept_definition", ["chair", TOKEN]),
        ("neural_probing.dropped_senses", [["chair", TOKEN]]),
        ("neural_probing.ranker_parameters", {"deep": [{"er": TOKEN}]}),
        ("neural_probing.ranker_parameters", {"token": "s3cr3t-value"}),
        ("methods", [{"name": "prune", "parameters": {"key": [TOKEN]}}]),
        ("push_to_hub", TOKEN),
    ],
)
def test_a_token_anywhere_in_the_settings_is_refused(place: str, value: Any) -> None:
    section, _, name = place.rpartition(".")
    with pytest.raises(InputError, match=rf"{place} holds what looks like an access token") as error:
        build_config({section: {name: value}} if section else {name: value})
    assert TOKEN not in str(error.value)


def test_a_prompt_about_passwords_is_none() -> None:
    assert build_config({"test_prompts": ["Password: swordfish, said the sailor."]}).test_prompts


def test_a_config_with_everything_wrong_says_the_first_few(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({f"x{number}": 1 for number in range(300)}), encoding="utf-8")
    with pytest.raises(InputError, match="295 more settings are wrong") as error:
        load_config(path)
    assert len(str(error.value).splitlines()) == 6


@pytest.mark.parametrize("pid", [None, "12", -1, 0, 1.5, True, 2**31, 10**30, [], {}])
def test_a_process_file_with_a_number_that_none_has_tells_of_a_dead_one(pid: Any) -> None:
    assert not is_alive({"pid": pid, "created": 1.0})


@pytest.mark.parametrize(
    "told", [{"state": 3}, {"x": 1}, {"state": "running", "step": "two"}, {"state": "failed", "message": []}]
)
def test_a_damaged_status_of_a_job_is_a_failure_that_says_so(tmp_path: Path, told: dict[str, Any]) -> None:
    (tmp_path / "status.json").write_text(json.dumps(told), encoding="utf-8")
    found = status(tmp_path)
    assert (found.state, found.error) == ("failed", "WorkFailed")
    assert "status.json is damaged" in found.message


def test_events_of_another_form_are_left_out_of_a_curve(tmp_path: Path) -> None:
    good = [{"kind": "train", "step": step, "loss": 1.0} for step in (1, 2)]
    bad = [
        {},
        {"kind": 3},
        {"kind": "train"},
        {"kind": "train", "step": "two"},
        [],
        None,
        {"kind": "status", "step": {}},
    ]
    lines = [json.dumps(event) for event in (good[0], *bad, good[1])]
    (tmp_path / "events.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert loss_curve(tmp_path) == good


@pytest.mark.parametrize(
    "change",
    [
        {"state": None}, {"state": []}, {"stages": []}, {"stages": {"rank": []}}, {"stages": {"rank": {"files": []}}},
        {"stages": {"rank": {"files": {"../x": {"size": 1, "hash": None}}}}}, {"kept": [{"kind": "rank"}]},
        {"stages": {"rank": {"files": {"x": {"size": -1, "hash": None}}}}}, {"kept": {}}, {"sources": {"a": 1}},
        {"stages": {"rank": {"fingerprint": 7}}}, {"stages": {"": {}}}, {"message": 1},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_manifest_of_another_form_is_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    good = {"state": "finished", "stages": {"rank": {"state": "finished", "fingerprint": "ab"}}}
    for content, state in ((good, "finished"), (good | change, DAMAGED)):
        (tmp_path / "status.json").write_text(json.dumps(content), encoding="utf-8")
        assert Manifest(tmp_path).read()["state"] == state
