#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "insert/http/ingester.h"
#include "lib/base/result.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "lib/rpc/insert_server.h"

namespace vm::insert {

/// Takes rows from other vminserts, as a storage node does. Thread-safe.
class ClusterNativeServer {
 public:
  struct Options {
    std::string addr;  // -clusternativeListenAddr
    bool enable_tcp6 = false;
    std::chrono::milliseconds shutdown_duration{25'000};  // -clusternative.vminsertConnsShutdownDuration
    rpc::InsertServerOptions rpc;
  };

  /// Errors: kIo when the address is taken. `ingester` and `registry` must outlive the server.
  static Result<std::unique_ptr<ClusterNativeServer>> Start(net::Runtime& runtime, Options options, Ingester& ingester,
                                                            metrics::Registry& registry);
  ~ClusterNativeServer();
  ClusterNativeServer(const ClusterNativeServer&) = delete;
  ClusterNativeServer& operator=(const ClusterNativeServer&) = delete;

  std::string addr() const;
  /// Not on an io thread.
  void Stop();

 private:
  struct Impl;
  explicit ClusterNativeServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vm::insert
