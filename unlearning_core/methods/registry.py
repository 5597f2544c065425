"""The methods by name, and the states of a model that a run goes through: base, then one a method. Loads no torch."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from unlearning_core.config.schema import ExperimentConfig, RetrainingSection
from unlearning_core.errors import InputError
from unlearning_core.methods import (
    candidate,
    gradient_ascent,
    gradient_difference,
    leace,
    nothing,
    npo,
    prune,
    random_cut,
    retrain,
    rmu,
    simnpo,
    steering,
)
from unlearning_core.methods.method import Method, Summary


def _trained(
    name: str,
    title: str,
    sentence: str,
    state: str,
    parameters: type[BaseModel],
    make: Callable[..., Summary],
    state_title: str = "",
) -> Method:
    """A method that trains on sentences with the concept and on filtered text."""
    return Method(
        name, title, sentence, state, parameters, make, cost="minutes of training", needs=("label", "filter"),
        state_title=state_title,
    )  # fmt: skip


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="prune",
            title="Cut ranked neurons",
            sentence="The neurons that a ranking puts first are cut in the weights, and the rows of the concept's own "
            "tokens are reset where that is asked for: the same edit as the live preview.",
            state="pruned",
            parameters=prune.Parameters,
            make=prune.make,
            needs=("rank",),
            section="neural_probing",
            searched="prune_ratio",
            leaves=("recipe",),
            inputs=prune.inputs,
        ),
        Method(
            name="retrain",
            title="Retrain on filtered text",
            sentence="The model recovers on text from which the concept was filtered; what was cut stays cut.",
            state="retrained",
            parameters=RetrainingSection,
            make=retrain.make,
            cost="minutes of training",
            needs=("filter",),
            section="retraining",
            check=retrain.check,
            inputs=retrain.inputs,
            collective=True,
        ),
        Method(
            name="nothing",
            title="Nothing",
            sentence="The model is saved as it is: whatever is measured of it is noise.",
            state="unchanged",
            parameters=nothing.Parameters,
            make=nothing.make,
        ),
        Method(
            name="random_cut",
            title="Cut random neurons",
            sentence="As many neurons as the cut has, drawn by the seed: a ranking must beat this.",
            state="randomly_cut",
            parameters=prune.Parameters,
            make=random_cut.make,
            needs=("rank",),
            section="neural_probing",
            searched="prune_ratio",
            leaves=("recipe",),
            inputs=random_cut.inputs,
        ),
        _trained(
            "gradient_ascent", "Gradient ascent", "The loss on sentences with the concept is made larger; nothing says "
            "what must stay.", "ascent", gradient_ascent.Parameters, gradient_ascent.make,
        ),
        _trained(
            "gradient_difference", "Gradient difference", "The loss is made larger on sentences with the concept and "
            "smaller on text without it.", "difference", gradient_difference.Parameters, gradient_difference.make,
        ),
        _trained(
            "npo", "NPO", "Sentences with the concept are made less likely than they were, ever more gently; text "
            "without it is kept.", "npo", npo.Parameters, npo.make, state_title="NPO",
        ),
        _trained(
            "simnpo", "SimNPO", "As NPO, by the loss of a token instead of a text, and without a reference.", "simnpo",
            simnpo.Parameters, simnpo.make, state_title="SimNPO",
        ),
        _trained(
            "rmu", "RMU", "At one depth, sentences with the concept are steered to a random vector; other text stays.",
            "rmu", rmu.Parameters, rmu.make, state_title="RMU",
        ),
        Method(
            name="leace",
            title="LEACE",
            sentence="An affine map after which no linear classifier finds the concept in a hidden state.",
            state="leace",
            parameters=leace.Parameters,
            make=leace.make,
            needs=("label",),
            state_title="LEACE",
        ),
        Method(
            name="steering",
            title="Steering by ablation",
            sentence="The direction in which hidden states of the concept differ from others is taken out everywhere.",
            state="steered",
            parameters=steering.Parameters,
            make=steering.make,
            needs=("label",),
        ),
        Method(
            name="candidate",
            title="Take somebody's model",
            sentence="A model that somebody else made of the base is taken as it is, to be audited.",
            state="candidate",
            parameters=candidate.Parameters,
            make=candidate.make,
            inputs=candidate.inputs,
            check=candidate.check,
        ),
    )
}  # fmt: skip
"""Every method by name."""

NEVER_KNEW = "never_knew"
"""Not a state of the run's model: another one, which it is compared with."""

CONTROL = "control"
"""Not one either: the base retrained on the same text without a cut, which shows what retraining alone does."""

CANDIDATE = "candidate"
"""The method, and the state that it makes, of an audit: somebody else's model, which no page makes."""


def get_method(name: str) -> Method:
    """The method called `name`; raises InputError that names the nearest one."""
    if name in METHODS:
        return METHODS[name]
    close = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.4)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise InputError(f"There is no method called {name!r}. {hint}Choose one of: {', '.join(METHODS)}.")


def methods_of(config: ExperimentConfig) -> list[tuple[Method, BaseModel]]:
    """The methods that a config asks for, in their order, each with its parameters.

    Without the key `methods` they are those of the seed system: prune, and retrain unless retraining.enabled is false.

    Raises:
        InputError: there is no such method, one is named twice, or its parameters do not hold.
    """
    if config.methods is None:
        names = ["prune", *(["retrain"] if config.retraining.enabled else [])]
        return [(METHODS[name], _parameters(METHODS[name], {}, config)) for name in names]
    chosen = [(get_method(step.name), step.parameters) for step in config.methods]
    names = [method.name for method, _ in chosen]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"methods names {name!r} {names.count(name)} times; each method can be used once in a run."
            )
    return [(method, _parameters(method, given, config)) for method, given in chosen]


def _parameters(method: Method, given: dict[str, Any], config: ExperimentConfig) -> BaseModel:
    if method.section is not None:
        if given:
            raise InputError(
                f"methods: the parameters of {method.name!r} stand in the section {method.section}, not in methods. "
                f"Move {', '.join(given)} there."
            )
        section = getattr(config, method.section)
        known = method.parameters.model_fields
        given = {name: value for name, value in section.model_dump().items() if name in known}
    try:
        return method.parameters(**given)
    except ValidationError as error:
        first = error.errors()[0]
        field, known_names = ".".join(str(part) for part in first["loc"]), ", ".join(method.parameters.model_fields)
        raise InputError(
            f"methods: {field!r} of the method {method.name!r} is {first['input']!r}: {first['msg']}. "
            f"Known parameters: {known_names or 'none'}."
        ) from error


def check_state(state: str, among: Sequence[str]) -> str:
    """`state` where it is one of `among`.

    Raises:
        InputError: it is not; names those that there are.
    """
    if state not in among:
        raise InputError(
            f"The state is {state!r}, and this run's settings make {', '.join(among)}. Choose one of these."
        )
    return state


def states_of(config: ExperimentConfig) -> list[str]:
    """The states of the model that a run of this config goes through, "base" first."""
    return ["base", *(method.state for method, _ in methods_of(config))]


def method_of_state(state: str) -> Method | None:
    """The method that makes that state; None for "base" and what is no state."""
    return next((method for method in METHODS.values() if method.state == state), None)


def state_title(state: str) -> str:
    """What pages and reports call a state: "Pruned", "Never knew"."""
    method = method_of_state(state)
    if method is not None and method.state_title:
        return method.state_title
    return state.replace("_", " ").capitalize()


def method_table() -> list[dict[str, str]]:
    """Every method as a row of text, for a listing."""
    return [
        {
            "name": method.name, "title": method.title, "makes": f"the {method.state} model", "does": method.sentence,
            "costs": method.cost, "parameters": method.section or ", ".join(method.parameters.model_fields),
        }
        for method in METHODS.values()
    ]  # fmt: skip
