# syntax=docker/dockerfile:1
# An agent with Debian's Blender. From the repository's root:
#   docker build -f deploy/docker/agent.Dockerfile -t haywain-agent .
# Tell it HAYWAIN_ORCHESTRATOR, and HAYWAIN_TOKEN_FILE if that asks for tokens. It keeps everything in /data, runs as its own
# user, and needs no other place to write to but /tmp: run it with a read-only root. For another Blender put that into the image,
# or mount it, and name it by HAYWAIN_BLENDER.

FROM rust:1.95-slim-trixie AS build
WORKDIR /haywain
COPY . .
RUN cargo build --release --locked --package haywain-agent

FROM debian:trixie-slim
# The list of authorities is what TLS is checked by.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends blender ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    # Each container is a machine of its own, and an id that all have in common would say otherwise.
    && rm -f /etc/machine-id /var/lib/dbus/machine-id \
    && useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin haywain \
    && install --directory --owner haywain --group haywain --mode 0700 /data
COPY --from=build /haywain/target/release/haywain-agent /usr/local/bin/
ENV HAYWAIN_DATA_DIR=/data
USER haywain
WORKDIR /data
VOLUME /data
# Fails when no agent runs, not when the orchestrator is away: starting an agent anew would not bring that back.
HEALTHCHECK --interval=15s --timeout=5s --start-period=2m --retries=3 CMD ["haywain-agent", "status"]
# SIGTERM lets frames in work be finished: give it time (--stop-timeout), and less than that to the agent (HAYWAIN_DRAIN_LIMIT).
STOPSIGNAL SIGTERM
ENTRYPOINT ["haywain-agent"]
