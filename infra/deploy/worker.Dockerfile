# Workers of every queue. Two targets: cpu (prepare, detect, track, stitch; renders slowly) and cuda.
# Built from the root of the repository:
#   docker build -f infra/deploy/worker.Dockerfile --target cpu .
#   docker build -f infra/deploy/worker.Dockerfile --target cuda .
FROM python:3.11.14-slim-bookworm AS source
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY api api
COPY infra infra
COPY lipfarm lipfarm
COPY migrations migrations
COPY pipeline pipeline
COPY workers workers

# PyTorch keeps its builds without CUDA on an index of their own; they are a tenth of the size.
FROM source AS build-cpu
RUN python -m venv /opt/lipfarm \
 && /opt/lipfarm/bin/pip install --no-cache-dir --constraint constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu "torch==2.13.0+cpu" ".[media]"

FROM source AS build-cuda
RUN python -m venv /opt/lipfarm \
 && /opt/lipfarm/bin/pip install --no-cache-dir --constraint constraints.txt ".[media]"

FROM python:3.11.14-slim-bookworm AS base
ENV PATH=/opt/lipfarm/bin:$PATH PYTHONUNBUFFERED=1 LIPFARM_SCRATCH_DIR=/scratch
# OpenCV's wheel wants the system's libGL, which a headless image lacks.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgl1=1.6.0-1 libglib2.0-0=2.74.* \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home lipfarm \
 && install -d -o 10001 -m 700 /scratch
USER 10001
VOLUME /scratch
# The farm itself judges a worker by its heartbeats; this tells Docker what the worker sees.
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s CMD ["lipfarm", "doctor"]
STOPSIGNAL SIGTERM

FROM base AS cuda
COPY --from=build-cuda /opt/lipfarm /opt/lipfarm
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
CMD ["lipfarm", "worker", "--queues", "gpu", "--device", "cuda:0"]

FROM base AS cpu
COPY --from=build-cpu /opt/lipfarm /opt/lipfarm
CMD ["lipfarm", "worker", "--queues", "cpu"]
