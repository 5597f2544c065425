"""Plotly figures from data frames and plain numbers. No torch, no streamlit."""
