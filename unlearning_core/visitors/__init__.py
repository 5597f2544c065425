"""A dashboard that strangers use: what they may name, how much they may take, and how long it is kept. No Streamlit."""
