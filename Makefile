# The two commands of the README, and what they consist of.
BUILD ?= build/release
JOBS ?= 2

.PHONY: all deps build run test asan clean

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

asan: deps
	@cmake --preset dev >/dev/null
	@cmake --build build/dev -j $(JOBS)
	@cd build/dev && ctest --output-on-failure -L unit -j 2

clean:
	@rm -rf build
