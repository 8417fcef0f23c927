# The two commands of the README are `make demo` and `make test`; each sets up
# what it needs on a fresh Debian or Ubuntu machine and cleans up after itself.
#
# Tiers of tests (go test tags), fastest first:
#
#   target          what it runs                                          needs
#   --------------  ----------------------------------------------------  ------------------------
#   make unit       unit tests, race detector                             Nix, git, sshd
#   make lint       gofmt, vet, golangci-lint, shellcheck, actionlint     network for the linters
#   make e2e        integration and end to end in the lab                 Docker, Nix
#   make test       the ci tier: lint, unit, e2e; nothing is skipped      sets all of it up
#   make workflows  zizmor over the workflows, as an auditor              Python (.ci/workflows)
#   make clients    the hcloud CLI and Terraform against the lab's API    the two (.ci/clients)
#   make bench      requests, time and memory against what it replaces    Nix (.ci/bench)
#   make fuzz       each fuzz target for FUZZTIME (default 30s)           Nix, git
#   make demo       the product in a few minutes                          sets all of it up

GO ?= go
FUZZTIME ?= 30s
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
# The parts of the script that runs on hosts, which are one script to check.
PARTS := internal/generation/scripts
SUDO := $(if $(filter 0,$(shell id -u)),,sudo -E env "PATH=$(PATH)")

.PHONY: demo test unit e2e lint workflows clients bench fuzz build image clean

demo:
	@start=$$(date +%s); \
	$(SUDO) .ci/setup demo && $(GO) build -o bin/flotilla ./cmd/flotilla && \
	echo "set-up and go build: $$(( $$(date +%s) - start )) s" && \
	$(SUDO) bin/flotilla demo --out demo-out; code=$$?; \
	$(SUDO) .ci/setup clean; exit $$code

test:
	@$(SUDO) .ci/setup test; code=$$?; \
	if [ $$code = 0 ]; then $(MAKE) --no-print-directory lint && $(SUDO) .ci/tests unit e2e; code=$$?; fi; \
	$(SUDO) .ci/setup clean; exit $$code

unit e2e:
	@$(SUDO) .ci/tests $@

lint:
	@unformatted=$$(gofmt -l cmd internal examples); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on: $$unformatted"; exit 1; fi
	$(GO) vet -tags integration,clients,bench ./...
	$(GO) run $(GOLANGCI) run
	shellcheck .ci/* internal/lab/nixos/image/files/lab-init $$(find internal -name '*.sh' ! -path '$(PARTS)/*')
	cat $(PARTS)/base.sh $$(find $(PARTS) -name '*.sh' ! -name base.sh ! -name main.sh) $(PARTS)/main.sh | shellcheck -s sh -
	# GitHub knows concurrency.queue since May 2026, actionlint does not yet.
	$(GO) run $(ACTIONLINT) -ignore 'unexpected key "queue" for "concurrency"' $$(.ci/workflows list)
	$(GO) mod tidy -diff

workflows:
	@.ci/workflows check

clients:
	@.ci/clients

bench:
	@.ci/bench

fuzz:
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

build:
	$(GO) build -o bin/flotilla ./cmd/flotilla

image:
	docker build -t flotilla:dev .

clean:
	rm -rf bin demo-out coverage.out
