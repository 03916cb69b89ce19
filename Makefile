# The two commands of the README, and what they consist of.
BUILD ?= build/release
JOBS ?= 2

.PHONY: all deps build run test asan tsan soak clean

all: build

deps:
	@sh deploy/install-deps.sh

build: deps
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)

run: build
	@exec python3 deploy/local_cluster.py --bin $(BUILD)/bin --data data

test: build
	@cd $(BUILD) && ctest --output-on-failure -j 2

# Unit tests of everything that decodes bytes from outside, and the three daemons.
SANITIZED = base bytes hash encoding decimal fs model storage_part storage_partset storage_mergeset \
            storage_indexdb metricsql insert_parse_prometheus insert_parse_remotewrite insert_parse_vmimport
empty :=
space := $(empty) $(empty)

asan: deps
	@cmake --preset dev >/dev/null
	@cmake --build build/dev -j $(JOBS) --target vminsert vmstorage vmselect $(SANITIZED:%=vm_%_test)
	@cd build/dev && ctest --output-on-failure -j 2 \
	  -R '^(vm_($(subst $(space),|,$(strip $(SANITIZED))))_test|cluster_one_sample|cluster_many_queries)$$'

# What runs on several threads, and the three daemons under load.
THREADED = net http rpc daemon containers insert_ship insert_http storage_table storage_engine storage_mergeset \
           select_promql select_fanout
TSAN_ENV = TSAN_OPTIONS=suppressions=$(CURDIR)/cmake/tsan.supp

tsan: deps
	@cmake --preset tsan >/dev/null
	@cmake --build build/tsan -j $(JOBS) --target vminsert vmstorage vmselect $(THREADED:%=vm_%_test)
	@cd build/tsan && $(TSAN_ENV) ctest --output-on-failure -j 2 \
	  -R '^(vm_($(subst $(space),|,$(strip $(THREADED))))_test|cluster_one_sample|cluster_many_queries)$$'

# The long forms: a quarter of an hour, and two minutes for each fuzz target.
KILL_ROUNDS ?= 200
FUZZ_SECONDS ?= 120
# Found, not listed: no target can be forgotten.
FUZZERS = $(notdir $(basename $(shell find src -name '*_fuzz.cc')))

soak: build
	@python3 tests/cluster/kill_rounds.py --bin $(BUILD)/bin --rounds $(KILL_ROUNDS)
	@python3 tests/cluster/memory_ceiling.py --bin $(BUILD)/bin --seconds 300
	@cmake --preset fuzz >/dev/null
	@cmake --build build/fuzz -j $(JOBS) --target $(FUZZERS)
	@set -e; mkdir -p build/fuzz/findings; for fuzzer in $(FUZZERS); do \
	  mkdir -p build/fuzz/corpus/$$fuzzer; echo "$$fuzzer: $(FUZZ_SECONDS) s"; \
	  nice build/fuzz/bin/$$fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
	    -artifact_prefix=build/fuzz/findings/$$fuzzer- build/fuzz/corpus/$$fuzzer \
	    >build/fuzz/$$fuzzer.log 2>&1 || { tail -40 build/fuzz/$$fuzzer.log; exit 1; }; \
	  grep -E 'number_of_executed_units' build/fuzz/$$fuzzer.log; done

clean:
	@rm -rf build
