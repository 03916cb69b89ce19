#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/budget.h"
#include "lib/base/result.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "lib/rpc/select_server.h"
#include "select/fanout/fanout.h"

namespace vm::select {

/// Answers another vmselect as a storage node does, with what the nodes below say. Missing nodes are errors, which the
/// one above takes for a missing node. Thread-safe.
/// Reference: VictoriaMetrics app/vmselect/clusternative/vmselect.go.
class ClusterNativeServer {
 public:
  struct Options {
    std::string addr;  // -clusternativeListenAddr
    bool enable_tcp6 = false;
    uint32_t max_tag_keys = 100'000;            // -clusternative.maxTagKeys
    uint32_t max_tag_values = 100'000;          // -clusternative.maxTagValues
    uint32_t max_tag_value_suffixes = 100'000;  // -clusternative.maxTagValueSuffixesPerSearch
    int64_t max_memory_per_query = 0;           // -search.maxMemoryPerQuery; 0: what `memory` has.
    std::function<void()> on_deletion;          // Called when series have been deleted; may be null.
    rpc::SelectServerOptions rpc;               // Without addr, registry and stop.
  };

  /// Errors: kIo when the address is taken. `memory` is what all queries together may hold. All references outlive the server.
  static Result<std::unique_ptr<ClusterNativeServer>> Start(net::Runtime& runtime, Options options, Fanout& fanout, Budget& memory,
                                                            metrics::Registry& registry);
  /// Stops.
  ~ClusterNativeServer();
  ClusterNativeServer(const ClusterNativeServer&) = delete;
  ClusterNativeServer& operator=(const ClusterNativeServer&) = delete;

  std::string addr() const;
  /// Break all calls off and close the connections. Not on an io thread.
  void Stop();

 private:
  struct Impl;
  explicit ClusterNativeServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vm::select
