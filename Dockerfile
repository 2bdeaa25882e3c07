# Doorward as an image: docker build -t doorward . (how to run it: docs/install.md)

FROM rust:1.95-slim-trixie AS build
# The newest packages of the release are wanted, for their security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ libclang-dev make nasm pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies first, with an empty program: this layer is rebuilt only when they change.
COPY Cargo.toml Cargo.lock ./
COPY benches benches
RUN mkdir src \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs \
 && cargo build --release --locked \
 && rm -r src
COPY . .
# Newer than the empty program, or cargo would keep that.
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked --bin doorward

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="Doorward" \
      org.opencontainers.image.description="A camera appliance for Home Assistant: motion and faces over MQTT, with no cloud" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --groups video --no-create-home --home-dir /data --shell /usr/sbin/nologin doorward \
 && install -d -o doorward -g doorward -m 0700 /data
COPY --from=build /src/target/release/doorward /usr/local/bin/doorward
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/doorward/
# A container's host name changes with each container, so the name in the topics is fixed. Its own loopback is of no
# use to others: what is reachable from outside is decided where ports are published.
ENV DOORWARD__DATA_DIR=/data \
    DOORWARD__NODE__ID=home \
    DOORWARD__BROKER__BIND=0.0.0.0:1883
# A doorward.toml in the volume is found here.
WORKDIR /data
VOLUME /data
USER 10001
EXPOSE 8420 1883
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["doorward", "health"]
ENTRYPOINT ["doorward"]
CMD ["run"]
