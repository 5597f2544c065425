"""The dashboard: `streamlit run app.py`. What surrounds every page is in pages/components/frame.py."""

from pages.components.frame import frame

frame()
