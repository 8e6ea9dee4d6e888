# syntax=docker/dockerfile:1

# One static program in an otherwise empty image, for linux/amd64, linux/arm64, linux/arm/v7 and linux/arm/v6:
#
#   docker buildx build --platform linux/amd64,linux/arm64,linux/arm/v7 -t chatixia-sidecar .
#
# Whatever it is built for, it is compiled on the builder's own platform: zig is the C compiler and the linker of
# every other.

FROM --platform=$BUILDPLATFORM rust:1.95-slim-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /build

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir --break-system-packages ziglang==0.17.1 cargo-zigbuild==0.24.0

ARG TARGETARCH
ARG TARGETVARIANT
RUN case $TARGETARCH$TARGETVARIANT in \
        amd64*) target=x86_64-unknown-linux-musl ;; \
        arm64*) target=aarch64-unknown-linux-musl ;; \
        armv7) target=armv7-unknown-linux-musleabihf ;; \
        armv6) target=arm-unknown-linux-musleabihf ;; \
        *) echo "no target for $TARGETARCH$TARGETVARIANT" >&2; exit 1 ;; \
    esac \
    && rustup target add "$target" \
    && echo "$target" > target-name

# The dependencies with an empty program, so that a change of the source does not compile them again.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir -p src benches/whole_way socket-directory \
    && echo 'fn main() {}' | tee src/main.rs > benches/whole_way/main.rs \
    && touch src/lib.rs \
    && cargo zigbuild --release --locked --target "$(cat target-name)" --features redis

# Cargo goes by the time of files, and these are older than the empty program.
COPY src src
COPY web web
RUN touch src/main.rs src/lib.rs \
    && cargo zigbuild --release --locked --target "$(cat target-name)" --features redis \
    && cp "target/$(cat target-name)/release/chatixia-sidecar" .

# The public certificates are compiled in; CA_FILE names others.
FROM scratch
COPY --from=build /build/chatixia-sidecar /chatixia-sidecar
# A volume that is mounted here for the first time belongs to the same user.
COPY --from=build --chown=65532:65532 /build/socket-directory /run/chatixia
USER 65532:65532
ENV IPC_SOCKET=/run/chatixia/agent.sock AGENT_LINGER=inf
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/chatixia-sidecar", "health"]
ENTRYPOINT ["/chatixia-sidecar"]
