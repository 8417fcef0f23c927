FROM golang:1.26-trixie AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# By this .ci/image finds what older builds left.
LABEL flotilla.stage=build
COPY cmd cmd
COPY internal internal
COPY examples examples
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /flotilla ./cmd/flotilla

FROM debian:trixie-slim
# One layer, so that what is taken away takes no room. Nobody reads docs here,
# git serves nobody, and neither git nor nix needs perl for what is asked of
# them: Debian's packages of both bring 60 MB of it.
RUN printf 'path-exclude /usr/%s\n' \
      'share/doc/*' 'share/man/*' 'share/locale/*' 'share/info/*' 'share/lintian/*' 'share/gitweb/*' 'share/git-core/contrib/*' \
      bin/git-shell bin/scalar lib/git-core/git-shell lib/git-core/scalar \
      lib/git-core/git-daemon lib/git-core/git-http-backend lib/git-core/git-http-push lib/git-core/git-imap-send \
      >/etc/dpkg/dpkg.cfg.d/slim \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nix-bin git ca-certificates \
 && dpkg --purge --force-depends git-man $(dpkg-query -W -f '${Package}\n' '*perl*' | grep -vx perl-base) \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/* /var/lib/dpkg/*-old /var/log/*.log /var/log/apt \
 && mkdir -p /etc/nix \
 && printf 'build-users-group =\nsandbox = false\nexperimental-features = nix-command flakes\n' >/etc/nix/nix.conf
# The workspace of a GitHub job belongs to another user.
RUN git config --system --add safe.directory '*'
COPY --from=build /flotilla /usr/local/bin/flotilla
ENTRYPOINT ["/usr/local/bin/flotilla", "action"]
