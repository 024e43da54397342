# The serving install with its [serve] extra, nothing else: no torch, no compiler, no tests. Each version is pinned by
# its hash, unlike for a library's users: an image is built once and run many times.

FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS build
WORKDIR /build
COPY deploy/requirements-build.txt deploy/requirements-serve.txt ./
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.txt
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --no-compile --only-binary :all: \
    --require-hashes -r requirements-serve.txt
COPY setup.cfg pyproject.toml README.md LICENSE MANIFEST.in ./
COPY qa_extractive qa_extractive
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/venv/bin/pip install --no-cache-dir --no-compile --no-deps --no-index /wheels/*.whl \
    && /opt/venv/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
RUN groupadd --system --gid 10001 qa && useradd --system --uid 10001 --gid qa --no-create-home qa
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["qa-extractive", "serve", "--host", "0.0.0.0", "--port", "8000"]
