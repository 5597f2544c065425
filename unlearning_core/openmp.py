"""How OpenMP's threads wait for each other; torch and scikit-learn compute with them. No torch."""

import os


def wait_without_spinning() -> None:
    """Threads that wait by spinning take the cores from whatever else runs, such as a page server.

    OpenMP reads it when torch is first imported, so it is said before; what the environment says already stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
