"""Losses at the concept, at its neighbours and at everything else, against a loop over tokens and numpy."""

from typing import Any

import numpy as np
import pytest

from tests.losses_by_hand import losses_by_hand
from tests.tiny_models import tiny
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import Measurement
from unlearning_core.evaluation.registry import metrics_table
from unlearning_core.reports.csv import metrics_csv
from unlearning_core.reports.findings import findings
from unlearning_core.reports.run_report import html_report
from unlearning_core.reports.terminal import table


def _spans(text: str, words: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((text.index(word), text.index(word) + len(word)) for word in words)


def _item(text: str, concept: tuple[str, ...] = (), near: tuple[str, ...] = ()) -> LabelledText:
    return LabelledText(text, _spans(text, concept), concept, _spans(text, near), near)


ITEMS = [
    _item("She put the chair beside the wooden table and sat down.", ("chair", "sat"), ("table",)),
    _item("The table near the window and a café table's leg.", (), ("table", "café")),
    _item("The dog barks on the old bench in the morning.", ("bench",)),
    _item("Beds are sold there.", (), ("Beds",)),
    LabelledText("A small boat crossed the river.", neighbours=((0, 31),)),
]
KINDS = ("concept", "retain", "neighbour", "rest")


def table_of(measured: dict[str, Measurement]) -> dict[str, dict[str, float | None]]:
    return metrics_table({state: {"measurement": measurement} for state, measurement in measured.items()})


def ratio_by_hand(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Mean and standard error of a ratio over sentences, from its residuals one by one."""
    pairs = [(s, n) for s, n in zip(sums, counts, strict=True) if n]
    mean = sum(s for s, _ in pairs) / sum(n for _, n in pairs)
    spread = sum((s - mean * n) ** 2 for s, n in pairs) * len(pairs) / (len(pairs) - 1)
    return mean, spread**0.5 / sum(n for _, n in pairs)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_tokens_of_every_kind_score_as_by_hand_although_batched(family: str) -> None:
    loaded = tiny(family)
    expected = losses_by_hand(loaded, ITEMS)
    found = measure(loaded, ITEMS, token_budget=40)
    for kind in KINDS:
        columns = found.sentences[[f"{kind}_tokens", f"{kind}_nats", f"{kind}_hits"]]
        np.testing.assert_allclose(columns, expected[kind], rtol=2e-5, atol=2e-5, err_msg=kind)
    values = metrics_table({"base": {"measurement": found}})["base"]
    for kind in KINDS:
        tokens, nats, hits = expected[kind].T
        assert values[f"{kind}_tokens"] == tokens.sum() > 0
        for name, sums in (("nll", nats), ("accuracy", hits)):
            mean, error = ratio_by_hand(sums, tokens)
            assert values[f"{kind}_{name}"] == pytest.approx(mean, rel=1e-4)
            assert values[f"{kind}_{name}_stderr"] == pytest.approx(error, rel=1e-3, abs=1e-7)


@pytest.fixture(scope="module")
def stages() -> tuple[dict[str, Measurement], dict[str, dict[str, np.ndarray]]]:
    """Base, and with every third MLP neuron cut: as measured, and by hand on weights in which they are zero."""
    loaded, other = tiny("llama"), tiny("llama")
    cut = [("mlp", layer, index) for layer in range(3) for index in range(0, 40, 3)]
    mask = Mask.from_neurons(loaded.map.shapes, cut)
    bake(other.model, mask)
    measured = {"base": measure(loaded, ITEMS), "pruned": measure(loaded, ITEMS, mask=mask)}
    return measured, {"base": losses_by_hand(loaded, ITEMS), "pruned": losses_by_hand(other, ITEMS)}


def test_the_report_has_the_change_of_each_part_with_its_paired_error(stages: Any) -> None:
    measured, expected = stages
    values = table_of(measured)["pruned"]
    for kind, name in (("concept", "forget"), ("retain", "retain"), ("neighbour", "neighbour"), ("rest", "rest")):
        tokens, before = expected["base"][kind][:, 0], expected["base"][kind][:, 1]
        mean, error = ratio_by_hand(expected["pruned"][kind][:, 1] - before, tokens)
        assert values[f"{name}_delta"] == pytest.approx(mean, rel=1e-3, abs=1e-6)
        assert values[f"{name}_delta_stderr"] == pytest.approx(error, rel=1e-3, abs=1e-6)
        assert abs(mean) > 1e-3


def test_terminal_csv_report_and_findings_tell_the_parts(stages: Any) -> None:
    metrics = table_of(stages[0])
    value, error = metrics["pruned"]["neighbour_delta"], metrics["pruned"]["neighbour_delta_stderr"]
    line = next(line for line in table(metrics).splitlines() if line.startswith("neighbour_delta "))
    assert line.split()[1:] == [f"{value:.3f}", "±", f"{1.96 * error:.3f}"]
    assert f"pruned,neighbour_delta,{value},{error}" in metrics_csv(metrics).splitlines()
    assert any(line.startswith("pruned,rest_nll,") for line in metrics_csv(metrics).splitlines())
    page = html_report("T", ["chair"], metrics, {}, lambda text: [], about={}, settings={})
    assert f"{value:.3f} ± {1.96 * error:.3f}" in page
    said = findings(metrics)["pruned"]["neighbours"]
    low, high = np.exp(1.96 * error - value), np.exp(value + 1.96 * error)
    assert value > 0
    assert low > 1  # the interval reaches to both sides
    interval = f"95 % interval {low:.2f} x more to {high:.2f} x less likely"
    assert said == f"Their words are {np.exp(value):.2f} x less likely ({interval})."
    assert said in page


def test_without_neighbours_no_part_is_told() -> None:
    loaded = tiny("llama")
    plain = [LabelledText(item.text, item.spans, item.words) for item in ITEMS]
    metrics = table_of({"base": measure(loaded, plain), "pruned": measure(loaded, plain)})
    page = html_report("T", ["chair"], metrics, {}, lambda text: [], about={}, settings={})
    told = " ".join([table(metrics), metrics_csv(metrics), *findings(metrics)["pruned"].values(), page.casefold()])
    assert "neighbour" not in told.casefold()
    assert "rest_" not in told
    assert set(measure(loaded, plain).sentences) == {
        *("text", "concept_tokens", "concept_nats", "concept_hits", "retain_tokens", "retain_nats", "retain_hits")
    }
