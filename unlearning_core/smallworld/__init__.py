"""SmallWorld: a world whose every fact we wrote, its texts, its question sets, and the small models trained on it."""
