"""The streaming pass against a plain loop, one text at a time, in numpy."""

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.experts_by_hand import neurons_by_hand
from tests.tiny_input import statistics_of
from tests.tiny_models import FAMILIES, tiny_model, tiny_tokenizer
from unlearning_core.activations.alignment import Aggregation, Alignment
from unlearning_core.activations.collect import collect
from unlearning_core.activations.massive import massive_neurons
from unlearning_core.activations.statistics import Statistics
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.models.mapping import map_model
from unlearning_core.progress import Progress

ITEMS = [
    LabelledText("She put the chair beside the wooden table and sat down.", ((12, 17), (46, 49))),
    LabelledText("The cat sleeps on a bench; the dog barks at 7 in the morning.", ((20, 25),)),
    LabelledText("It's a café, isn't it? Naïve travellers' stories are told there."),
    LabelledText("Sofas and armchairs", ((0, 5), (10, 19))),
    LabelledText("A small boat crossed the river before the rain, and nobody saw it."),
    LabelledText("Go"),
    LabelledText(""),
]


def loaded(family: str = "llama", **overrides: Any) -> Any:
    model = tiny_model(family, **overrides)
    return SimpleNamespace(model=model, tokenizer=tiny_tokenizer(), map=map_model(model))


def alone(model: Any, site: str, ids: list[int]) -> np.ndarray:
    """Activations of one text without padding, `[tokens, layers, width]`, by a separate way for each site."""
    if site == "mlp" and model.map.experts:
        return neurons_by_hand(model.model, ids)
    seen: list[torch.Tensor] = []
    handles = []
    if site != "residual":
        layers, _ = model.map.shapes[site]
        for layer in range(layers):
            (module,) = model.map.readers(site, layer)
            handles.append(module.register_forward_pre_hook(lambda module, args: seen.append(args[0].flatten(0, -2))))
    with torch.no_grad():
        output = model.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    for handle in handles:
        handle.remove()
    if site == "residual":
        seen = [state[0] for state in output.hidden_states]
    values = torch.stack(seen, dim=1).double().numpy()
    if site == "head":
        heads = model.map.shapes[site][1]
        values = np.sqrt((values.reshape(*values.shape[:2], heads, -1) ** 2).sum(-1))
    return values


def by_hand(
    model: Any, site: str, alignment: Alignment, aggregation: Aggregation, skip_first: bool
) -> tuple[Statistics, np.ndarray]:
    """Statistics of `ITEMS`, and mean |activation| at position 0, straight from their definition."""
    rows, classes, first = [], [], []
    for item in ITEMS:
        encoding = model.tokenizer(item.text, return_offsets_mapping=True)
        if not encoding.input_ids:
            continue
        values = alone(model, site, encoding.input_ids)
        first.append(np.abs(values[0]))
        groups: dict[int, list[int]] = {}
        concept: dict[int, bool] = {}
        for place, (start, end) in enumerate(encoding.offset_mapping):
            word = len(item.text[:end].split(" ")) - 1
            key = place if aggregation == "token" else word
            inside = any(start < b and a < end for a, b in item.spans)
            groups.setdefault(key, []).append(place)
            concept[key] = concept.get(key, False) or inside
        for key, places in groups.items():
            chosen = {"token": places, "average": places, "first": places[:1], "last": places[-1:]}[aggregation]
            reads = [place - (alignment == "before") for place in chosen]
            reads = [place for place in reads if place >= int(skip_first)]
            if reads:
                rows.append(values[reads].mean(0))
                classes.append(int(concept[key]))
    return statistics_of(np.stack(rows), np.array(classes)), np.mean(first, axis=0)


def assert_same(found: Statistics, expected: Statistics) -> None:
    assert found.count.tolist() == expected.count.tolist()
    for name, value in vars(expected).items():
        np.testing.assert_allclose(vars(found)[name], value, rtol=2e-4, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_site_of_every_family_is_read_as_the_definition_says(family: str) -> None:
    model = loaded(family)
    for site in model.map.shapes:
        if site == "residual":
            continue  # transformers reports the last state after the final norm: the next test
        found = collect(model, ITEMS, site=site, token_budget=40)
        assert_same(found.statistics, by_hand(model, site, "before", "token", True)[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_residual_site_is_transformers_hidden_states(family: str) -> None:
    model = loaded(family)
    found = collect(model, ITEMS, site="residual", final_normed=True, token_budget=40)
    expected, _ = by_hand(model, "residual", "before", "token", True)
    assert_same(found.statistics, expected)
    unnormed = collect(model, ITEMS, site="residual", token_budget=40).statistics
    np.testing.assert_allclose(unnormed.sum[:, :-1], found.statistics.sum[:, :-1])
    assert not np.allclose(unnormed.sum[:, -1], found.statistics.sum[:, -1])


@pytest.mark.parametrize("alignment", ["before", "at"])
@pytest.mark.parametrize("aggregation", ["token", "average", "first", "last"])
@pytest.mark.parametrize("skip_first", [True, False])
def test_alignment_aggregation_and_position_0(alignment: Alignment, aggregation: Aggregation, skip_first: bool) -> None:
    model = loaded("gpt2")
    found = collect(model, ITEMS, alignment=alignment, aggregation=aggregation, skip_first=skip_first, token_budget=40)
    assert_same(found.statistics, by_hand(model, "mlp", alignment, aggregation, skip_first)[0])


@pytest.mark.parametrize("budget", [1, 17, 10_000])
def test_the_batch_size_changes_nothing(budget: int) -> None:
    model = loaded()
    found = collect(model, ITEMS, token_budget=budget)
    whole = collect(model, ITEMS)
    assert_same(found.statistics, whole.statistics)
    assert found.tokens == whole.tokens == sum(len(model.tokenizer(item.text).input_ids) for item in ITEMS)


def test_windows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded()
    whole = collect(model, ITEMS, rows=8)
    monkeypatch.setattr("unlearning_core.activations.collect.WINDOW", 2)
    found = collect(model, ITEMS, rows=8)
    assert_same(found.statistics, whole.statistics)
    assert found.rows is not None
    assert whole.rows is not None
    assert found.rows.key.tolist() == whole.rows.key.tolist()


@pytest.mark.parametrize("aggregation", ["token", "average"])
def test_sampled_rows_are_rows_of_the_pass(aggregation: Aggregation) -> None:
    model = loaded()
    everything = collect(model, ITEMS, aggregation=aggregation, rows=10_000)
    assert everything.rows is not None
    concept = int(everything.statistics.count[1])
    assert np.bincount(everything.rows.y).tolist() == [concept, concept]
    own = statistics_of(everything.rows.X, everything.rows.y)
    np.testing.assert_allclose(own.sum[1], everything.statistics.sum[1], rtol=1e-4, atol=1e-4)
    few = collect(model, ITEMS, aggregation=aggregation, rows=4, seed=1).rows
    other = collect(model, ITEMS, aggregation=aggregation, rows=4, seed=2).rows
    again = collect(model, ITEMS, aggregation=aggregation, rows=4, seed=1, token_budget=20).rows
    assert few is not None
    assert other is not None
    assert again is not None
    assert few.X.shape == (4, *everything.statistics.shape)
    np.testing.assert_allclose(again.X, few.X, atol=1e-5)
    assert few.key.tolist() != other.key.tolist()


def test_a_pass_in_bfloat16_is_summed_in_float64() -> None:
    model = loaded()
    exact = collect(model, ITEMS)
    model.model.to(torch.bfloat16)
    found = collect(model, ITEMS)
    assert found.statistics.sum.dtype == np.float64
    np.testing.assert_allclose(found.statistics.rms(), exact.statistics.rms(), rtol=0.2, atol=0.05)


def test_position_0_is_watched_whether_or_not_it_is_read() -> None:
    """A neuron that shouts at position 0 and is silent elsewhere is found; the model is made to have one."""
    model = loaded("gpt2", n_inner=200)
    down = model.map.readers("mlp", 1)[0]
    first = model.tokenizer(ITEMS[0].text).input_ids[0]

    def shout(module: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        loud = args[0].clone()
        loud[..., 77] *= 0.01
        loud[:, 0, 77] = 5000.0
        return (loud,)

    handle = down.register_forward_pre_hook(shout)
    assert first >= 0
    for skip_first in (True, False):
        massive = collect(model, ITEMS, skip_first=skip_first).massive
        assert massive[["site", "layer", "index"]].values.tolist() == [["mlp", 1, 77]]
        expected = 5000.0 * model.map.outgoing_norm("mlp")[1, 77]
        np.testing.assert_allclose(massive["contribution"], expected, rtol=1e-5)
    handle.remove()
    assert collect(model, ITEMS).massive.empty


def test_the_most_massive_are_found_and_their_share_is_capped() -> None:
    generator = np.random.default_rng(0)
    elsewhere = generator.lognormal(0, 0.5, (4, 500))
    first = generator.lognormal(0, 0.5, (4, 500))
    assert massive_neurons("mlp", first, elsewhere, np.ones((4, 500))).empty, "ordinary neurons"
    loud = generator.permutation(2000)[:20]
    first.ravel()[loud] = 10_000 + np.arange(20)
    found = massive_neurons("mlp", first, elsewhere, np.ones((4, 500)))
    assert len(found) == 4, "0.2 % of 2,000"
    assert (found["layer"] * 500 + found["index"]).tolist() == loud[::-1][:4].tolist(), "strongest first"
    quiet = massive_neurons("mlp", first, elsewhere, np.where(first > 5000, 1e-6, 1.0))
    assert quiet.empty, "what puts out nothing writes nothing"


def test_a_neuron_that_is_as_loud_elsewhere_is_not_massive() -> None:
    first = np.ones((1, 1000))
    elsewhere = np.ones((1, 1000))
    first[0, 3] = elsewhere[0, 3] = 1e5
    assert massive_neurons("residual", first, elsewhere, np.ones((1, 1000))).empty


def hooks_of(model: Any) -> int:
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules())


def test_progress_counts_every_token_and_a_stop_leaves_no_hook() -> None:
    model = loaded()
    heard: list[Progress] = []
    found = collect(model, ITEMS, token_budget=20, progress=heard.append)
    assert [report.done for report in heard] == sorted(report.done for report in heard)
    assert heard[-1].done == heard[-1].total == found.tokens
    assert hooks_of(model.model) == 0

    def stop(progress: Progress) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        collect(model, ITEMS, token_budget=20, progress=stop)
    assert hooks_of(model.model) == 0


def test_another_run_of_the_same_model_meanwhile_is_not_counted() -> None:
    model = loaded()
    alone_result = collect(model, ITEMS, token_budget=20)

    def other_person() -> None:
        with torch.no_grad():
            model.model(input_ids=torch.ones(1, 50, dtype=torch.long))

    def in_between(progress: Progress) -> None:
        thread = threading.Thread(target=other_person)
        thread.start()
        thread.join()

    found = collect(model, ITEMS, token_budget=20, progress=in_between)
    np.testing.assert_array_equal(found.statistics.sum, alone_result.statistics.sum)


def test_text_without_the_concept_is_refused_before_the_pass() -> None:
    def never(progress: Progress) -> None:
        raise AssertionError("the pass began")

    with pytest.raises(InputError, match="None of the 2 sentences"):
        collect(loaded(), [LabelledText("One"), LabelledText("Two")], progress=never)


def test_activations_that_overflow_are_a_failure_with_the_layer() -> None:
    model = loaded("gpt2")
    with torch.no_grad():
        model.map.readers("mlp", 1)[0].weight.fill_(float("nan"))
    with pytest.raises(WorkFailed, match="layer 2"):
        collect(model, ITEMS)


def test_only_the_last_tokens_beyond_the_context_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    model = loaded("gpt2", n_positions=16)
    found = collect(model, ITEMS)
    assert found.tokens == sum(min(16, len(model.tokenizer(item.text).input_ids)) for item in ITEMS)
    assert "left out" in caplog.text
