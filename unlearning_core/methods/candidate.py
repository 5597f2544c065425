"""Candidate: a model that somebody else made of the base, taken as it is, to be measured like any state of a run."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.config.schema import PATH
from unlearning_core.methods.method import MethodInput, Summary
from unlearning_core.progress import ProgressCallback, silent


class Parameters(BaseModel):
    """Which model."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, PATH] = Field(
        min_length=1, description="a folder, a .gguf file, a zip, a Hub id or a starter"
    )
    revision: str | None = Field(None, description="branch, tag or commit of a Hub model")
    extra_tokens: str = Field(
        "refuse", pattern="refuse|resize|drop", description="tokens without a row in the embedding, as for the base"
    )
    allow_pickle: bool = Field(False, description="also load weights that can run code (.bin, .pt)")


def inputs(parameters: Parameters, seed: int) -> Any:
    """The model by its content; a seed changes nothing."""
    from unlearning_core.models.sources.resolve import fingerprint

    return parameters.model_dump() | {"content": fingerprint(parameters.model, parameters.revision)}


def check(parameters: Parameters, progress: ProgressCallback = silent) -> None:
    """Look at its weights before the base is measured, which takes minutes.

    Raises:
        InputError: it cannot be had, or a weight is NaN or infinite.
    """
    from unlearning_core.models.finite import check_finite_files

    check_finite_files(
        parameters.model, revision=parameters.revision, allow_pickle=parameters.allow_pickle, progress=progress
    )


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Load it, make sure that its tokens are the base's, and keep a copy with the run.

    Raises:
        InputError: it cannot be had, or has another vocabulary than the base.
    """
    from unlearning_core.evaluation.divergence import check_vocabularies
    from unlearning_core.models.loading import load_model

    base = given.load()
    candidate = load_model(
        parameters.model,
        revision=parameters.revision,
        device=given.device,
        allow_pickle=parameters.allow_pickle,
        extra_tokens=parameters.extra_tokens,
        may_be_cut=True,
        progress=given.progress,
    )
    check_vocabularies(base, candidate, called="candidate model")
    given.save(candidate)
    return {"parameters": candidate.info.parameters, "same_weights": _same(base.model, candidate.model)}


def _same(base: Any, candidate: Any) -> bool:
    """Whether every weight is the base's: then nothing was done to it."""
    theirs, ours = base.state_dict(), candidate.state_dict()
    return theirs.keys() == ours.keys() and all(
        theirs[name].shape == ours[name].shape
        and bool((theirs[name].cpu() == ours[name].to(theirs[name].dtype).cpu()).all())
        for name in theirs
    )
