"""Unlearning in a notebook: from a model and a concept to a verdict in ten lines.

```python
import unlearning_core as uw

model = uw.load("smallworld")              # a starter, a folder, a .gguf file or a Hub id
concept = model.label("seats")             # a starter's own concept, words or a file of words
ranking = concept.rank("combined")         # which neurons carry it
edited = ranking.edit(ratio=0.1)           # cut the first tenth, reset the rows of the concept's tokens
retrained = edited.heal()                  # learn again, on text without the concept, what the cut has cost
retrained.generate("A chair is")           # base, pruned and retrained beside each other
proof = retrained.evaluate(quick=True)     # is it gone, what did it cost, does it come back?
proof                                      # the verdict, drawn as the last value of a cell
```

Every object draws itself, has its numbers as a pandas data frame (`to_frame`), and names its run (`run`). The steps are
those of the command line and the dashboard, in the same runs: what is there already is not made again, an interrupted
cell goes on when it runs again, and the dashboard opens the run that is named below each object. It looks for runs
where this does: in `UNLEARNING_RUNS`, or in `runs` in the working folder.

Losses are in nats a token on held-out text, ± half a 95 % interval.
"""

import warnings

from unlearning_core.logs import quiet_libraries

# Before the libraries are imported: each draws bars of its own, and tqdm asks for widgets that none here needs.
quiet_libraries()
warnings.filterwarnings("ignore", message="IProgress not found")

from unlearning_core.notebook.models import Model, load  # noqa: E402
from unlearning_core.notebook.states import Edited, Proof, Retrained, State  # noqa: E402
from unlearning_core.notebook.steps import Concept, Ranking, Step  # noqa: E402
from unlearning_core.notebook.texts import Texts  # noqa: E402

__all__ = ["Concept", "Edited", "Model", "Proof", "Ranking", "Retrained", "State", "Step", "Texts", "load"]
