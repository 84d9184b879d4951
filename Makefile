# Switchyard
#
#   make serve    install what is missing, build, deploy the sample models, serve on port 8080
#   make test     install what is missing, run every test
#   make lint     check formatting and the rules of the house
#   make storm    the long tests in full, on an optimised build
#   make asan     the tests under AddressSanitizer
#   make tsan     the tests under ThreadSanitizer
#   make clients  the vendors' own clients and schemathesis, from PyPI, against a live host
#   make fuzz     eight fuzzers, one after the other, FUZZ_SECONDS=60 each
#   make bench    speed beside a bare epoll responder and nginx, the stages of a request, the JSON
#                 scanner beside simdjson, and what a slow model and a slow disk disturb;
#                 ROUNDS=5, SECONDS=4 for each case of a round
#   make curves   cost by endpoints, splits, connections, bytes of a body, rows of a batch
#   make reloads  what changes of a running host cost those who ask it, and leave in memory
#   make surfaces  what the other protocols cost beside the native one, and tensors beside reading
#   make takeovers  what the supervisor costs, and how long a replaced worker keeps others waiting
#   make footprint  resident memory and time to the first answer, of the host and of each sample
#   make smoke    a few seconds of what CI does not run in full: each measurement, a fuzzer
#   make smoke-builds  the same of a storm and both sanitizers, which need builds of their own
#   make format   format the sources
#   make clean    remove what was built

SHELL := /bin/bash
SWIFT ?= swift
PROGRAM = .build/release/switchyard
SOURCES = Package.swift Sources Plugins Tests
# Whoever wants some of the tests: make tsan TESTS='--filter TakeoverTests'
TESTS ?=
TEST = $(SWIFT) test --disable-xctest $(TESTS)
# A child of a test that crashes on purpose need not be analysed.
export SWIFT_BACKTRACE = enable=no

.PHONY: serve build build-served deploy setup setup-test setup-clients setup-bench test lint storm asan tsan fuzz bench curves reloads takeovers footprint surfaces clients smoke smoke-builds format clean

serve: deploy
	exec $(PROGRAM) serve

# What is served, and nothing that only tests and measurements need.
SAMPLES = echo matrix_vector pricing_model_v1 pricing_model_v2 tumor_classifier_v1 \
	tumor_classifier_v2 fraud_detection_v1 fraud_detection_v2
build-served: setup
	@set -e; for product in switchyard $(SAMPLES); do \
		$(SWIFT) build -c release --product $$product; \
	done

# A build that is the newest version already is not stored again; versions 1 and 2 are stored once.
DEPLOY = $(PROGRAM) deploy
LIBRARY = .build/release/lib
TUMOR_TREES = --resources Plugins/tumor_classifier/resources

deploy: build-served
	@set -e; \
	for name in echo matrix_vector pricing_model_v1 pricing_model_v2; do \
		$(DEPLOY) $$name $(LIBRARY)$$name.so; \
	done; \
	$(PROGRAM) list | grep -q "main/tumor_classifier  *2 " || { \
		$(DEPLOY) tumor_classifier $(LIBRARY)tumor_classifier_v1.so; \
		$(DEPLOY) tumor_classifier $(LIBRARY)tumor_classifier_v2.so $(TUMOR_TREES); \
	}; \
	$(PROGRAM) list | grep -q "main/fraud_detection  *2 " || { \
		$(DEPLOY) fraud_detection $(LIBRARY)fraud_detection_v1.so; \
		$(DEPLOY) fraud_detection $(LIBRARY)fraud_detection_v2.so; \
	}; \
	$(PROGRAM) alias set fraud_detection v1 1; \
	$(PROGRAM) alias set fraud_detection auto_deploy_api 2

build: setup
	$(SWIFT) build -c release

# libyaml is the one thing that a machine with Swift may lack.
setup:
	@if [ ! -e /usr/include/yaml.h ]; then \
		if [ "$$(id -u)" = 0 ]; then as=; else as=sudo; fi; \
		echo "installing libyaml-dev"; \
		$$as apt-get update -q && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -qy libyaml-dev; \
	fi

# Prometheus' own check of metrics, taken out of Debian's package (19 MB): to install that would
# start a server where there is an init system to do so.
PROMTOOL = .build/tools/promtool
setup-test: setup
	@if [ ! -x $(PROMTOOL) ] && ! command -v promtool >/dev/null; then \
		if [ "$$(id -u)" = 0 ]; then as=; else as=sudo; fi; \
		echo "fetching promtool"; \
		$$as apt-get update -q && mkdir -p .build/tools && cd .build/tools && \
		apt-get download -q prometheus && \
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool > promtool.new && \
		chmod 755 promtool.new && mv promtool.new promtool && rm -f prometheus_*.deb; \
	fi

test: setup-test
	$(SWIFT) build --build-tests
	$(TEST) --skip-build

lint:
	$(SWIFT) format lint --strict --recursive $(SOURCES)
	$(TEST) --filter TidyTests

# The clients of Modelbit, of the Dataiku API node and of Triton, unmodified, and schemathesis, in an
# environment of their own that has just what they import here.
CLIENTS = .build/clients
clients: setup-clients
	$(SWIFT) build
	cd Tests/Clients && ../../$(CLIENTS)/bin/python -B -m pytest -q -p no:cacheprovider

setup-clients: setup
	@if ! python3 -c "import ensurepip" 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ]; then as=; else as=sudo; fi; \
		echo "installing python3-venv"; \
		$$as apt-get update -q && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -qy python3-venv; \
	fi
	@if ! cmp -s Tests/Clients/requirements.txt $(CLIENTS)/requirements.txt; then \
		rm -rf $(CLIENTS) && python3 -m venv $(CLIENTS) && \
		$(CLIENTS)/bin/pip install -q --disable-pip-version-check --no-deps --no-compile \
			-r Tests/Clients/requirements.txt && \
		cp Tests/Clients/requirements.txt $(CLIENTS)/; \
	fi

storm: setup-test
	$(SWIFT) build -c release --build-tests --scratch-path .build-storm
	SWITCHYARD_STORM=1 $(TEST) -c release --skip-build --scratch-path .build-storm

# Swift's runtime and libyaml keep what they allocate once; leaks are looked for in our own code.
asan: setup-test
	$(SWIFT) build --build-tests --sanitize=address --scratch-path .build-asan
	ASAN_OPTIONS=detect_leaks=0 $(TEST) --skip-build --sanitize=address --scratch-path .build-asan

# Plugins that are instrumented find the sanitizer's functions in the program that opens them.
tsan: setup-test
	$(SWIFT) build --build-tests --sanitize=thread --scratch-path .build-tsan -Xlinker --export-dynamic
	$(TEST) --skip-build --sanitize=thread --scratch-path .build-tsan -Xlinker --export-dynamic

# Whoever wants them for an hour: make fuzz FUZZ_SECONDS=3600 FUZZERS=json
FUZZERS ?= http json tensors surfaces endpoint manifest elf log_ring
FUZZ_SECONDS ?= 60
export SWIFT
fuzz: setup
	Tests/Fuzz/run $(FUZZ_SECONDS) $(FUZZERS)

# What measures: its answers in Markdown on standard output.
BENCH = python3 Sources/switchyard-bench
ROUNDS ?= 5
SECONDS ?= 4

bench: build setup-bench
	@$(BENCH)/bench.py --rounds $(ROUNDS) --seconds $(SECONDS)
	@echo
	@$(BENCH)/stages.py
	@echo
	@$(BENCH)/parse.py
	@echo
	@$(BENCH)/disturbances.py

curves: build setup-bench
	@$(BENCH)/curves.py

reloads: build setup-bench
	@$(BENCH)/reloads.py

takeovers: build setup-bench
	@$(BENCH)/takeovers.py

footprint: build
	@$(BENCH)/footprint.py

surfaces: build setup-bench
	@$(BENCH)/surfaces.py --rounds $(ROUNDS) --seconds $(SECONDS)

# Debian's nginx starts itself when it is installed, where there is an init system to do so.
setup-bench:
	@lacking=; \
	for tool in wrk:wrk nginx:nginx-light valgrind:valgrind strace:strace; do \
		PATH=$$PATH:/usr/sbin command -v $${tool%:*} >/dev/null || lacking="$$lacking $${tool#*:}"; \
	done; \
	[ -e /usr/include/simdjson.h ] || lacking="$$lacking libsimdjson-dev"; \
	if [ -n "$$lacking" ]; then \
		if [ "$$(id -u)" = 0 ]; then as=; else as=sudo; fi; \
		echo "installing$$lacking"; \
		$$as apt-get update -q && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -qy $$lacking; \
	fi

# Shows that each of them works; none of what it prints is a result.
SMOKE = SWITCHYARD_SMOKE=1 $(MAKE) --no-print-directory ROUNDS=1 SECONDS=1
smoke:
	$(SMOKE) bench
	$(SMOKE) curves
	$(SMOKE) reloads
	$(SMOKE) takeovers
	$(SMOKE) footprint
	$(SMOKE) surfaces
	$(SMOKE) fuzz FUZZERS=http FUZZ_SECONDS=2

# The same of what needs a build of its own each: some ten minutes more.
smoke-builds:
	$(SMOKE) asan TESTS='--filter "JSONTests|PoolTests"'
	$(SMOKE) tsan TESTS='--filter "EventLoopTests|PoolTests"'
	$(SMOKE) storm TESTS='--filter "RefusalTests"'

format:
	$(SWIFT) format --in-place --recursive $(SOURCES)

clean:
	rm -rf .build .build-storm .build-asan .build-tsan .build-fuzz .fuzz
