"""The recipe of a run is searched: many are tried, the front of forgetting against cost is kept, one is taken."""
