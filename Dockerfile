# syntax=docker/dockerfile:1
# The serving install with its [serve] extra, nothing else: no torch, no compiler, no tests.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY setup.cfg pyproject.toml README.md LICENSE MANIFEST.in constraints.txt ./
COPY qa_extractive qa_extractive
# Pinned here, unlike for a library's users: an image is built once and run many times.
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --no-compile -c constraints.txt ".[serve]" \
    && /opt/venv/bin/pip uninstall --yes pip

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 qa && useradd --system --uid 10001 --gid qa --no-create-home qa
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["qa-extractive", "serve", "--host", "0.0.0.0", "--port", "8000"]
