# docker build -t unlearning-workbench .
# docker run -p 8501:8501 -v workbench:/home/workbench unlearning-workbench
FROM python:3.11-slim

# An index with builds of torch for the processor alone keeps the image small; without it pip takes those for CUDA.
ARG PIP_EXTRA_INDEX_URL=

WORKDIR /source
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY pyproject.toml README.md LICENSE app.py ./
COPY .streamlit .streamlit/
COPY data data/
COPY models models/
COPY pages pages/
COPY unlearning_core unlearning_core/
RUN pip install --no-cache-dir --no-deps .

# Runs, logs and unpacked models are kept here.
RUN useradd --create-home workbench
USER workbench
WORKDIR /home/workbench
EXPOSE 8501
HEALTHCHECK --start-period=30s --interval=30s --timeout=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8501/_stcore/health')"]
CMD ["unlearning-workbench", "--host", "0.0.0.0", "--port", "8501"]
