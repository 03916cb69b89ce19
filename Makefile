# The two commands of the README, and what they consist of.
BUILD ?= build/release
JOBS ?= 2

.PHONY: all deps build run test asan tsan clean

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
            storage_indexdb metricsql insert_parse_prometheus insert_parse_remotewrite
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

clean:
	@rm -rf build
