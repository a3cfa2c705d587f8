# vtid as a sidecar of a container that runs charon: it shares that container's network namespace
# and the directory of its VICI socket.
#
#   docker build -t vtid .
#   docker run --network container:charon --cap-drop ALL --cap-add NET_ADMIN --cap-add SYS_ADMIN \
#     -v ./vtid.toml:/etc/vtid/vtid.toml:ro \
#     -v /run/charon:/run/charon \
#     -v /run/bird:/run/bird \
#     -v /run/netns:/run/netns:rslave \
#     vtid
#
# NET_ADMIN makes interfaces, addresses and nftables elements. SYS_ADMIN enters the namespaces that
# `netns = ` names; without such a key, leave it and /run/netns away. /run/netns is shared with
# rslave (or rshared), so that namespaces made later appear in the container, too.
# /run/charon and /run/bird stand for the directories of the sockets in vtid.toml; the include file
# of BIRD has to be in a directory that both see under one path. The sockets belong to root, and so
# vtid runs as root here; where they belong to another user (Debian's BIRD runs as bird), it takes
# --cap-add DAC_OVERRIDE --cap-add CHOWN --cap-add FOWNER as well. Metrics are
# served where `metrics = ` says, in charon's namespace. Settings of IPv6 (`sysctls = `) are written in
# /proc/sys, which takes --security-opt systempaths=unconfined.

FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/vtid
WORKDIR /src
COPY requirements.txt .
RUN /opt/vtid/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY vtid vtid
RUN /opt/vtid/bin/pip install --no-cache-dir --no-deps .

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libnftables1 python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/vtid /opt/vtid
# For the control socket: `docker exec NAME vtictl status`.
RUN mkdir /run/vtid
ENV PATH=/opt/vtid/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["vtid"]
CMD ["--config", "/etc/vtid/vtid.toml"]
