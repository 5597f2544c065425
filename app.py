"""The dashboard: `streamlit run app.py`. What surrounds every page is in pages/_frame.py."""

from pages._frame import frame

frame()
