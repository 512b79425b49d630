# make check is what CI demands of every change, at pinned versions; make help
# lists the rest.
SHELL := /bin/bash
GO ?= go
TOOL := $(GO) tool -modfile=internal/tools/go.mod
TARGETS := linux/amd64 linux/arm64 linux/arm/7 linux/arm/6 linux/riscv64 linux/mipsle

.PHONY: help build test check fmt vet lint race fuzz cross smoke interop packages release verify image lifecycle qemu-tpm vuln licences bench demo monitoring clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## build bin/sealgate and bin/sealctl
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$$(internal/tools/ldflags)" -o bin/ ./cmd/...

test: ## run the tests as the README says
	$(GO) test ./...

check: fmt vet lint race vuln licences ## everything that a change has to pass

fmt: ## gofmt would change nothing
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt would change:"; echo "$$out"; exit 1; }

vet: ## go vet
	$(GO) vet ./...

lint: ## staticcheck, pinned
	$(TOOL) staticcheck ./...

race: ## the tests under the race detector
	$(GO) test -race ./...

fuzz: ## each fuzz target for FUZZTIME (3s)
	GO=$(GO) FUZZTIME=$(or $(FUZZTIME),3s) internal/tools/fuzz

cross: ## build for every supported board; the size of linux/arm64 is bounded
	GO=$(GO) TARGETS="$(TARGETS)" internal/tools/cross

smoke: ## run both programs of every board under an emulator: a message sealed and opened, size and idle memory bounded
	GO=$(GO) TARGETS="$(TARGETS)" internal/tools/smoke

interop: ## open our vectors with other libraries, and the fixtures of google/tink/go with ours
	$(GO) -C crypto/testdata/interop test ./...
	cd crypto/testdata/interop && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error && node cose.mjs

packages: ## .deb, .rpm, .ipk and .apk of both programs for every board, in dist/
	GO=$(GO) internal/tools/packages

release: ## packages built twice alike, bills of materials, VEX, checksums and provenance, signed, in dist/: SUPPORT_END=DAY KEY=FILE, or DRY=1 (docs/release.md)
	GO=$(GO) internal/tools/release

verify: ## check a release in DIST (dist/) as its user would: PUBLIC=FILE
	internal/tools/verify

image: ## build the container image without a network, and run what is in it (root)
	GO=$(GO) internal/tools/image

lifecycle: ## install, run, reload, break, flood, upgrade, set up and purge the .deb in a booted systemd (root)
	GO=$(GO) internal/tools/lifecycle

qemu-tpm: ## boot a machine with a TPM: sealed credentials, custody, another TPM (minutes)
	GO=$(GO) internal/tools/qemu-tpm

vuln: ## known vulnerabilities, with a canary
	GO=$(GO) internal/tools/vuln

licences: ## licences of what is linked into the programs
	GO=$(GO) internal/tools/licences

bench: ## benchmarks beside the code, the gateway beside a plain bridge, paho and Node-RED, judging beside other scanners
	$(GO) test -run '^$$' -bench . -benchmem ./...
	! command -v npm >/dev/null || npm --prefix bench/nodered ci --no-audit --no-fund --ignore-scripts --loglevel=error
	$(GO) -C bench run ./bridge -parts all -svg ../docs/performance.svg
	$(GO) -C bench run ./classify

demo: ## the main job, on embedded brokers
	$(GO) run ./cmd/sealgate demo

monitoring: ## Prometheus with our rules, a gateway and sample traffic
	GO=$(GO) internal/tools/monitoring

clean: ## remove what was built
	rm -rf bin dist
