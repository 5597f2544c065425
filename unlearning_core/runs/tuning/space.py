"""What a recipe search may choose: the cut with its token rows, and how the cut model is retrained."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from unlearning_core.config.reading import build_config
from unlearning_core.config.schema import ExperimentConfig

if TYPE_CHECKING:
    from optuna import Trial

MOST = 0.3
"""Share of the neurons that a recipe cuts at most: beyond it every model tried here is broken."""

STEP = 0.05
"""Between the values of a strength or a noise that are tried: smaller differences are lost in the noise of a race."""

MOST_NOISE = 0.3
"""Of the retraining; UNDO's alpha: more has to be trained away for longer than a search has time for."""

PART = 6
"""Which part of the layers is protected, where any beyond the settings' own are: every sixth, the first or the last."""

LENGTHS = (0.5, 1.0, 2.0)
"""Steps of the retraining that are tried, as shares of the settings' own."""


@dataclass(frozen=True)
class Choice:
    """One recipe.

    Attributes:
        share: of the ranked neurons that are cut, with three digits that count.
        per_layer: every layer gives the same share, instead of the ranking choosing.
        strength: how far the concept's token rows are moved, 0 to 1.
        noise: share of fresh weights that is mixed in before retraining, 0 to 1.
        steps: of retraining; None: as many as the settings' passes over the text make.
        protected: layers in which nothing is cut.
    """

    share: float
    per_layer: bool
    strength: float
    noise: float = 0.0
    steps: int | None = None
    protected: tuple[int, ...] = ()

    @classmethod
    def of(cls, config: ExperimentConfig) -> "Choice":
        """The recipe that the settings have."""
        probing, retraining = config.neural_probing, config.retraining
        return cls(
            probing.prune_ratio, probing.per_layer, probing.token_rows.strength, retraining.noise, retraining.max_steps,
            tuple(probing.protected_layers),
        )  # fmt: skip

    def applied(self, config: ExperimentConfig) -> ExperimentConfig:
        """The settings with this recipe in place of their own."""
        values = config.model_dump()
        values["neural_probing"] |= {
            "prune_ratio": self.share, "per_layer": self.per_layer, "protected_layers": list(self.protected)
        }  # fmt: skip
        values["neural_probing"]["token_rows"] |= {"strength": self.strength}
        values["retraining"] |= {"noise": self.noise, "max_steps": self.steps}
        return build_config(values, origin="The recipe")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self) | {"protected": list(self.protected)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Choice":
        """Back from `to_dict`."""
        return cls(**values | {"protected": tuple(values.get("protected", ()))})


@dataclass(frozen=True)
class Space:
    """The recipes that may be tried around a default.

    Attributes:
        default: the settings' own recipe, which is tried first.
        neurons: that are ranked.
        rows: whether any token belongs to the concept alone; without one a strength says nothing.
        distils: whether retraining can begin with noise.
        layers: of the ranking whose first or last ones may be protected; 0: those of the default stay as they are.
    """

    default: Choice
    neurons: int
    rows: bool
    distils: bool
    layers: int = 0

    @property
    def protections(self) -> dict[str, tuple[int, ...]]:
        """By name, the layers that may be protected: the settings' own, and with them the first or the last ones.

        None but the settings' own where there are so few layers that each is a large part of the model.
        """
        own, some = set(self.default.protected), self.layers // PART
        found = {"own": own}
        if some:
            found |= {"first": own | set(range(some)), "last": own | set(range(self.layers - some, self.layers))}
        return {name: tuple(sorted(layers)) for name, layers in found.items() if name == "own" or layers != own}

    @property
    def least(self) -> float:
        """The smallest share: one neuron."""
        return min(self.default.share or MOST, max(1e-5, _rounded(1 / self.neurons)))

    @property
    def most(self) -> float:
        """The largest share."""
        return max(MOST, self.default.share)

    def first(self) -> list[Choice]:
        """Recipes to begin with, the settings' own first: smaller, larger, rows alone, neurons alone, by layer."""
        own = replace(self.default, share=max(self.default.share, self.least))
        moved = replace(own, strength=1.0 if self.rows else 0.0)
        known = [
            own,
            replace(moved, share=self._within(own.share / 4)),
            replace(moved, share=self._within(own.share * 2)),
            replace(moved, share=self.least),
            replace(own, strength=0.0),
            replace(moved, per_layer=True),
        ]
        return list(dict.fromkeys(known))

    def _within(self, share: float) -> float:
        return min(self.most, max(self.least, _rounded(share)))

    def cut(self, trial: "Trial") -> Choice:
        """A cut that the sampler proposes, to be retrained as the default is."""
        share = trial.suggest_float("share", self.least, self.most, log=True)
        per_layer = trial.suggest_categorical("per_layer", [False, True])
        strength = self.default.strength
        if self.rows:
            strength = self._stepped(trial.suggest_float("strength", 0.0, 1.0), self.default.strength)
        share = share if share == self.default.share else _rounded(share)
        found = replace(self.default, share=share, per_layer=bool(per_layer), strength=strength)
        if len(self.protections) > 1:
            named = str(trial.suggest_categorical("protected", list(self.protections)))
            found = replace(found, protected=self.protections[named])
        return found

    def retrained(self, trial: "Trial") -> Choice:
        """A whole recipe that the sampler proposes."""
        found = self.cut(trial)
        if self.distils:
            noise = trial.suggest_float("noise", 0.0, max(MOST_NOISE, self.default.noise))
            found = replace(found, noise=self._stepped(noise, self.default.noise))
        if self.default.steps is not None:
            lengths = sorted({max(1, round(share * self.default.steps)) for share in LENGTHS})
            found = replace(found, steps=int(trial.suggest_categorical("steps", lengths)))
        return found

    @staticmethod
    def _stepped(value: float, own: float) -> float:
        """The value as a multiple of `STEP`; the settings' own stays what it is."""
        return value if value == own else round(round(value / STEP) * STEP, 2)

    def parameters(self, choice: Choice, *, retrained: bool) -> dict[str, Any]:
        """The choice as the sampler's parameters, to be tried at a person's word."""
        found: dict[str, Any] = {"share": choice.share, "per_layer": choice.per_layer}
        if self.rows:
            found["strength"] = choice.strength
        if len(self.protections) > 1:
            found["protected"] = next(name for name, own in self.protections.items() if own == choice.protected)
        if retrained and self.distils:
            found["noise"] = choice.noise
        if retrained and self.default.steps is not None:
            found["steps"] = choice.steps
        return found


def _rounded(share: float) -> float:
    return float(f"{share:.3g}")
