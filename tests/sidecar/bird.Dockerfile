# BIRD for the trial of the sidecar: Debian's BIRD 2, its configuration from a volume.
FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends bird2 \
    && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["/usr/sbin/bird", "-f", "-s", "/run/bird/bird.ctl"]
