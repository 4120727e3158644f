# syntax=docker/dockerfile:1
# The image of every step of a compiled pipeline, of its Beam workers (Dataflow, Flink), and of the yt8m command.
#
#   docker build -t REGISTRY/yt8m:1.0 .                          CPU
#   docker build --build-arg DEVICE=gpu -t REGISTRY/yt8m:1.0 .   with CUDA's libraries; runs on CPU nodes as well
#   docker build --build-arg LANE=tfx116 ...                     with TFX 1.16 on Python 3.11 in place of TFX 1.21 on 3.13
#
# The GPU image expects NVIDIA's driver from the node, as GKE and the NVIDIA device plugin provide it.
ARG LANE=tfx121

# Python and system of each lock file, and Beam's worker of the Beam version in it.
FROM python:3.13-slim-trixie AS python-tfx121
FROM apache/beam_python3.13_sdk:2.77.0 AS beam-tfx121
FROM python:3.11-slim-bookworm AS python-tfx116
FROM apache/beam_python3.11_sdk:2.65.0 AS beam-tfx116

FROM beam-${LANE} AS beam

FROM python-${LANE} AS build
ARG UV_VERSION=0.13.9
ARG LANE
ARG DEVICE=cpu
# Some packages come as sources, and so do this project's TensorFlow operations.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir "uv==${UV_VERSION}" \
    && uv venv --python /usr/local/bin/python3 /opt/venv
# Steps run as a user who may not write compiled modules: without them each would compile its imports anew.
ENV VIRTUAL_ENV=/opt/venv UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /src
COPY requirements.lock requirements-gpu.lock requirements-tfx121.lock requirements-tfx121-gpu.lock ./
# Reports of runs state the lock file's hash: it stays in the image, beside the packages.
RUN case "${LANE}" in \
      tfx116) lock=requirements ;; \
      tfx121) lock=requirements-tfx121 ;; \
      *) echo "LANE must be tfx116 or tfx121, not ${LANE}" >&2; exit 2 ;; \
    esac; \
    case "${DEVICE}" in \
      cpu) uv pip sync --require-hashes $lock.lock ;; \
      gpu) uv pip sync --require-hashes $lock.lock $lock-gpu.lock ;; \
      *) echo "DEVICE must be cpu or gpu, not ${DEVICE}" >&2; exit 2 ;; \
    esac \
    && cp $lock.lock /opt/venv/
# After the libraries: a change of the code builds only this layer.
COPY pyproject.toml setup.py README.md ./
COPY trainer trainer
COPY serving serving
COPY components components
COPY pipeline pipeline
RUN uv pip install --no-deps --no-build-isolation .

FROM python-${LANE}
ARG LANE
ARG DEVICE=cpu
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="yt8m" \
      org.opencontainers.image.description="YouTube-8M features in, a served ensemble of video models out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      yt8m.lane="${LANE}" \
      yt8m.device="${DEVICE}"
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    # Writable by whatever user an administrator makes it run as.
    && mkdir -m 1777 /home/yt8m
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=build /opt/venv /opt/venv
COPY --chmod=755 scripts/container.sh /usr/local/bin/container.sh
# NVIDIA's libraries lie in packages of their own, of which the loader is told; the CPU image has none.
RUN ln -s /opt/venv/lib/python3.*/site-packages /opt/packages \
    && { find /opt/packages/nvidia -type d -name lib 2>/dev/null > /etc/ld.so.conf.d/nvidia.conf || true; } \
    && ldconfig
ENV PATH=/opt/venv/bin:/opt/packages/nvidia/cuda_nvcc/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/yt8m \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    YT8M_REVISION=${REVISION} \
    # Where NVIDIA's container runtime looks.
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /home/yt8m
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
ENTRYPOINT ["tini", "--", "container.sh"]
CMD ["--help"]
