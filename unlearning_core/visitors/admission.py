"""What a visitor's settings may name: starters, allowed names of the Hub, shipped texts, and files of their own.

Whatever else is named is refused by one sentence that does not depend on what is there: it tells of no path whether it
exists, and nothing is looked up before it is admitted.
"""

import os
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel

from unlearning_core.config.reading import locations
from unlearning_core.config.schema import PATH, ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.methods.registry import methods_of
from unlearning_core.models.sources.starters import STARTERS
from unlearning_core.visitors.rules import Rules

SHIPPED = ROOT / "data"
"""Texts and words that come with the workbench: anybody may read them."""


def admitted_place(text: str, own: Path, hub: Collection[str], field: str) -> str:
    """`text` where a visitor may name it, a path as the absolute one that it stands for.

    Args:
        text: a path or name, as a person or a file wrote it; no `~` or variable in it is expanded.
        own: the visitor's folder.
        hub: names of the Hub that are allowed there.
        field: what the place is called in the refusal.

    Raises:
        InputError: it may not be named; the sentence is the same whether it exists or not.
    """
    if text in STARTERS or text in hub:
        return text
    if "\0" not in text:
        # A relative path is one of the checkout, as in the shipped settings; of links the end counts.
        real = Path(os.path.realpath(ROOT / text))
        if any(real != base and real.is_relative_to(base) for base in (SHIPPED.resolve(), own.resolve())):
            return str(real)
    allowed = f", or a name that is allowed here ({', '.join(hub)})" if hub else ""
    raise InputError(
        f"{field} names something that this public server does not read: only what you upload here, what comes with "
        f"the workbench{allowed}. Upload the file itself instead."
    )


def admitted(config: ExperimentConfig, own: Path, rules: Rules) -> ExperimentConfig:
    """`config` with every place in it admitted.

    Raises:
        InputError: a place may not be named, or a setting would run code, or send something, in the server's name.
    """
    refuse_rights(config)
    found = config.model_copy(deep=True)
    _admit_places(found, own, rules, "")
    for section, (method, parameters) in zip(found.methods or (), methods_of(found), strict=False):
        _admit_places(parameters, own, rules, f"methods.{method.name}.")
        section.parameters = parameters.model_dump(include=set(section.parameters))
    return found


def refuse_rights(config: ExperimentConfig) -> None:
    """Refuse what a person may decide on a machine of their own, and a visitor of somebody else's may not.

    Raises:
        InputError: names the key.
    """
    pickled = config.base_model.allow_pickle or any(
        getattr(parameters, "allow_pickle", False) for _, parameters in methods_of(config)
    )
    for key, asked, why in (
        ("allow_pickle", pickled, "weights in that form can run code"),
        ("push_to_hub", config.push_to_hub is not None, "it would be sent with the server's login"),
        ("retraining.report_to", bool(config.retraining.report_to), "it would be sent with the server's login"),
    ):
        if asked:
            raise InputError(f"{key} may not be used on this public server: {why}. Leave it out.")


def _admit_places(section: BaseModel, own: Path, rules: Rules, prefix: str) -> None:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            _admit_places(value, own, rules, f"{prefix}{name}.")
        elif PATH in field.metadata and isinstance(value, str):
            is_model = name in ("base_model_path", "model")
            hub = rules.hub_models if is_model else rules.hub_datasets
            place = admitted_place(value, own, hub, f"{prefix}{name}")
            if place != value:
                setattr(section, name, place)


def places(config: ExperimentConfig) -> list[str]:
    """Every file, folder, dataset or model that the settings name, those of the methods' own parameters too."""
    return [*locations(config), *(place for _, one in methods_of(config) for place in locations(one))]
