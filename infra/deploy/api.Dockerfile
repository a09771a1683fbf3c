# The HTTP edge, the reconciler and the migrations: no torch, no OpenCV, no ffmpeg.
# Built from the root of the repository: docker build -f infra/deploy/api.Dockerfile .
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY api api
COPY infra infra
COPY lipfarm lipfarm
COPY migrations migrations
COPY pipeline pipeline
COPY workers workers
RUN python -m venv /opt/lipfarm \
 && /opt/lipfarm/bin/pip install --no-cache-dir --constraint constraints.txt ".[api]"

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/lipfarm /opt/lipfarm
ENV PATH=/opt/lipfarm/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --create-home lipfarm
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["lipfarm", "api", "--host", "0.0.0.0", "--port", "8000"]
