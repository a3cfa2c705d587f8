# charon for the trial of the sidecar: Debian's strongSwan, its configuration from a volume.
FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends charon-systemd strongswan-swanctl \
       libstrongswan-standard-plugins iputils-ping iproute2 \
    && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["/usr/sbin/charon-systemd"]
