"""The dashboard: `streamlit run app.py`. What surrounds every page is in pages/components/frame.py."""

from pages.components.lasting import reading_modules

with reading_modules():
    from pages.components.frame import frame

frame()
