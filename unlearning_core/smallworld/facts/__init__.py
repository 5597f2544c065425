"""The facts of the world, one table a group of families."""

from unlearning_core.smallworld.facts import home, nature, places, work
from unlearning_core.smallworld.facts.table import Family, Member

FAMILIES: dict[str, Family] = {
    family.name: family for family in (*home.FAMILIES, *nature.FAMILIES, *work.FAMILIES, *places.FAMILIES)
}
"""All concept families by name."""

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "seats": ("tables", "beds"),
    "tables": ("seats", "beds"),
    "beds": ("seats", "tables"),
    "animals": ("fruit", "weather"),
    "fruit": ("drinks", "animals"),
    "vehicles": ("tools", "buildings"),
    "instruments": ("tools", "jobs"),
    "tools": ("instruments", "jobs"),
    "clothing": ("weather", "jobs"),
    "weather": ("clothing", "animals"),
    "jobs": ("tools", "buildings"),
    "drinks": ("fruit", "animals"),
    "buildings": ("jobs", "countries"),
    "countries": ("buildings", "drinks"),
}
"""By family, those that share its contexts: where collateral damage would show first."""

__all__ = ["FAMILIES", "NEIGHBOURS", "Family", "Member"]
