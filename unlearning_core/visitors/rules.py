"""The rules of a public server, from its environment: the one place that says whether it is one.

`UNLEARNING_PUBLIC=1` switches them on; each field of `Rules` has a variable of its own, `UNLEARNING_PUBLIC_` and the
field's name in capitals. A value that cannot be read is an error, never a server without rules.
"""

import os
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from unlearning_core.errors import InputError

VARIABLE = "UNLEARNING_PUBLIC"
_PREFIX = f"{VARIABLE}_"


def _names(value: object) -> object:
    return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Rules(BaseModel):
    """What a visitor of a public server may do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hub_models: Names = Field((), description="models of the Hub that may be named, with commas; none: starters alone")
    hub_datasets: Names = Field((), description="datasets of the Hub that may be named; none: uploads alone")
    disk_mb: int = Field(2000, ge=1, description="of one visitor's runs and uploads together")
    total_disk_mb: int = Field(20_000, ge=1, description="of all visitors' together")
    free_disk_mb: int = Field(1000, ge=0, description="that must stay free on the disk")
    upload_mb: int = Field(200, ge=1, description="of one uploaded file")
    job_minutes: float = Field(30, gt=0, description="after which work of any kind is stopped")
    jobs_at_once: int = Field(1, ge=1, description="background jobs of all visitors that run; others wait")
    jobs_each: int = Field(1, ge=1, description="background jobs that one visitor may have running or waiting")
    page_work_at_once: int = Field(2, ge=1, description="pieces of work on pages (ranking, writing) at once")
    days: float = Field(7, gt=0, description="after which runs of a visitor who did not come back are deleted")


def rules(environment: Mapping[str, str] | None = None) -> Rules | None:
    """The rules of this server; None where it is one person's own.

    Raises:
        InputError: a variable is unknown or cannot be read, or rules are given without `UNLEARNING_PUBLIC=1`.
    """
    found = os.environ if environment is None else environment
    given = {name: value for name, value in found.items() if name.startswith(_PREFIX)}
    switch = found.get(VARIABLE, "")
    if switch not in ("", "0", "1"):
        raise InputError(f"{VARIABLE} is {switch!r}; expected 1 (visitors are strangers) or 0 (all is one person's).")
    if switch != "1":
        if given:
            raise InputError(f"{min(given)} is set, but {VARIABLE} is not 1. Set it, or take {min(given)} away.")
        return None
    try:
        return Rules.model_validate({name.removeprefix(_PREFIX).lower(): value for name, value in given.items()})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        name = f"{_PREFIX}{str(problem['loc'][0]).upper()}"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(f"{_PREFIX}{field.upper()}" for field in Rules.model_fields)
            raise InputError(f"{name} is no rule of a public server. Known: {known}.") from error
        raise InputError(f"{name} is {problem['input']!r}; {problem['msg'][0].lower()}{problem['msg'][1:]}.") from error
