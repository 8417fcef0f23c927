FROM golang:1.26-trixie AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY internal internal
COPY examples examples
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /flotilla ./cmd/flotilla

FROM debian:trixie-slim
# Docs and translations are not needed by a program that is never read.
RUN printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n' >/etc/dpkg/dpkg.cfg.d/slim \
 && apt-get update \
 && apt-get install -y --no-install-recommends nix-bin git ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /etc/nix \
 && printf 'build-users-group =\nsandbox = false\nexperimental-features = nix-command flakes\n' >/etc/nix/nix.conf
# The workspace of a GitHub job belongs to another user.
RUN git config --system --add safe.directory '*'
COPY --from=build /flotilla /usr/local/bin/flotilla
ENTRYPOINT ["/usr/local/bin/flotilla", "action"]
