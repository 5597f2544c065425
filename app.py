"""The dashboard: `streamlit run app.py`. What surrounds every page is in pages/components/frame.py."""

import os

# Threads that wait by spinning take the cores from the page server; read by OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from pages.components.frame import frame

frame()
