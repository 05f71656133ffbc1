# litevision serve in a container: no torch, no root, and nothing written, so that its root may be read-only.
#
#   docker build -t litevision .
#   docker run --rm --read-only -p 127.0.0.1:8000:8000 litevision
#   docker run --rm --read-only -p 127.0.0.1:8000:8000 -v ./runs:/models:ro litevision serve /models/first --host 0.0.0.0
#
# examples/serve/ has the same with limits, for Compose and Kubernetes.

FROM python:3.11-slim AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY lock/serve.txt lock/
RUN python -m venv --without-pip /venv \
 && python -m venv /tools \
 && /tools/bin/python -m pip --python /venv/bin/python install --quiet --no-compile --require-hashes -r lock/serve.txt
# The import at the end compiles what a start imports: the root is read-only later.
COPY pyproject.toml DESCRIPTION.md LICENSE ./
COPY src src
RUN /tools/bin/python -m pip --python /venv/bin/python install --quiet --no-compile --no-deps --no-build-isolation . \
 && /tools/bin/python -m pip --python /venv/bin/python uninstall --quiet --yes \
    hatchling editables pathspec pluggy tomlkit trove-classifiers \
 && /venv/bin/python -c "import litevision.cli.serve, litevision.serving.served, litevision.serving.server"

FROM python:3.11-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/nonexistent LITEVISION_OFFLINE=1
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["litevision"]
CMD ["serve", "clothing", "--host", "0.0.0.0", "--log-format", "json"]
