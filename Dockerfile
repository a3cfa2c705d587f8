# vtid as a sidecar of charon and BIRD; docs/sidecar.md says how to run it.
#
#   docker build -t vtid .          podman build -t vtid .          buildah bud -t vtid .
#
# The image has Python, libnftables and vtid with its locked packages; no pip, no compiler.

FROM docker.io/library/debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /build
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN /build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.txt \
    && /build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
       --target /opt/vtid -r requirements.txt
COPY pyproject.toml README.md ./
COPY man man
COPY vtid vtid
RUN /build/bin/pip install --no-cache-dir --no-deps --no-build-isolation --upgrade --target /opt/vtid . \
    && sed -i '1s|.*|#!/usr/bin/python3|' /opt/vtid/bin/vtid /opt/vtid/bin/vtictl \
    && rm -r /opt/vtid/share \
    && find /opt/vtid -name '__pycache__' -prune -exec rm -r '{}' + \
    && find /opt/vtid -type d -name tests -prune -exec rm -r '{}' +

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libnftables1 python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/vtid /opt/vtid
# The control socket is there: `podman exec NAME vtictl status`.
RUN mkdir -m 0755 /run/vtid
ENV PYTHONPATH=/opt/vtid PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/vtid/bin:/usr/sbin:/usr/bin:/sbin:/bin
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["vtictl", "ready"]
ENTRYPOINT ["vtid"]
CMD ["--config", "/etc/vtid/vtid.toml"]
