# syntax=docker/dockerfile:1
# The orchestrator. From the repository's root:
#   docker build -f deploy/docker/orchestrator.Dockerfile -t haywain-orchestrator .
# It keeps everything in /data, runs as its own user, and needs no other place to write to: run it with a read-only root.

FROM rust:1.95-slim-trixie AS build
WORKDIR /haywain
COPY . .
RUN cargo build --release --locked --package haywain-orchestrator --package haywain-agent

FROM debian:trixie-slim
# A volume at /enrolment is for a token that agents are let in by (deploy/compose.yaml).
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin haywain \
    && install --directory --owner haywain --group haywain --mode 0700 /data /enrolment
COPY --from=build /haywain/target/release/haywain-orchestrator /usr/local/bin/
# What machines without containers get from it (/install).
COPY --from=build /haywain/target/release/haywain-agent /usr/local/share/haywain/
# Off loopback it asks for tokens, and does not start until there is one: `haywain-orchestrator token create`, on the same /data.
ENV HAYWAIN_LISTEN=0.0.0.0:4000 HAYWAIN_DATA_DIR=/data
USER haywain
WORKDIR /data
VOLUME /data
EXPOSE 4000
# By bash's own sockets, as nothing else in the image speaks HTTP. With --tls-cert, leave it out (--no-healthcheck).
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/4000 && printf 'GET /api/v1 HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && grep -q '\"name\":\"haywain\"' <&3"]
ENTRYPOINT ["haywain-orchestrator"]
