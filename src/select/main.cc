#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>

#include "lib/daemon/daemon.h"
#include "lib/daemon/version.h"
#include "lib/log/log.h"
#include "lib/metricsql/ast.h"
#include "lib/net/drop_pending.h"
#include "lib/rpc/node_set.h"
#include "lib/sys/sys.h"
#include "select/clusternative/cluster_native.h"
#include "select/fanout/fanout.h"
#include "select/flags.h"
#include "select/http/api.h"
#include "select/reference_flags.h"

namespace {

constexpr uint16_t kDefaultStoragePort = 8401;
constexpr size_t kMaxEvaluatingThreads = 64;
// Queries that are still running then would not end in the time the HTTP server gives them.
constexpr auto kTimeForRunningQueries = std::chrono::seconds(5);

double Since(std::chrono::steady_clock::time_point t) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count(); }

/// Stops the HTTP server: requests that end soon are waited for, the others are cancelled.
void StopHttp(vm::daemon::Daemon& daemon, vm::select::Api& api) {
  std::mutex mutex;
  std::condition_variable wake;
  bool has_stopped = false;
  std::thread canceller([&] {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, kTimeForRunningQueries, [&] { return has_stopped; });
    api.Cancel();
  });
  daemon.StopHttp();
  {
    const std::lock_guard lock(mutex);
    has_stopped = true;
  }
  wake.notify_all();
  canceller.join();
}

}  // namespace

int main(int argc, char** argv) {
  const auto started = std::chrono::steady_clock::now();
  vm::daemon::Daemon daemon("vmselect", ":8481");
  const size_t cpus = std::max<size_t>(1, static_cast<size_t>(vm::sys::AvailableCpus()));
  const vm::select::Flags flags(daemon.flags(), cpus);
  daemon.flags().AcceptUndefined(vm::select::kReferenceFlags);
  daemon.Init(argc, argv);

  auto nodes = vm::rpc::NodeSet::Parse(flags.storage_nodes(), kDefaultStoragePort);
  if (!nodes.ok()) {
    std::fprintf(stderr, "cannot use -storageNode: %s\n", nodes.error().message().c_str());
    return 1;
  }
  auto fanout_options = flags.ToFanoutOptions();
  if (!fanout_options.ok()) {
    std::fprintf(stderr, "%s\n", fanout_options.error().message().c_str());
    return 1;
  }
  fanout_options.value().registry = &daemon.metrics();
  auto options = flags.ToApiOptions();
  options.version = vm::daemon::LongVersion("vmselect");
  {
    vm::sys::SetThreadStackBytes(vm::metricsql::kStackBytes);
    // Requests are evaluated on these. One more, so that somebody listens while all others compute.
    daemon.UseThreads(std::clamp(options.max_concurrent_requests, cpus, kMaxEvaluatingThreads) + 1, vm::net::Threads::kComputeToo);
    vm::net::Pool pool("search", cpus);
    vm::select::Fanout fanout(daemon.runtime(), nodes.value(), fanout_options.value());
    vm::Budget memory("-memory.allowedBytes", daemon.allowed_memory_bytes());
    vm::select::Api api(daemon.runtime(), pool, fanout, std::move(options), daemon.metrics(), memory);
    std::unique_ptr<vm::select::ClusterNativeServer> cluster_native;
    if (auto native = flags.ToClusterNativeOptions(); !native.addr.empty()) {
      native.rpc.version = vm::daemon::LongVersion("vmselect");
      auto listening = vm::select::ClusterNativeServer::Start(daemon.runtime(), std::move(native), fanout, memory, daemon.metrics());
      if (!listening.ok()) VM_FATAL("cannot initialize vmselectapi server: {}", listening.error().message());
      cluster_native = std::move(listening).value();
    }
    daemon.StartHttp([&api](vm::http::Request& request, vm::http::Response& response) { return api.Handle(request, response); });
    daemon.LogStarted(Since(started));
    daemon.WaitForSignal();
    const auto stopping = std::chrono::steady_clock::now();
    StopHttp(daemon, api);
    if (cluster_native != nullptr) {
      VM_LOG_INFO("stopping vmselectapi server...");
      cluster_native->Stop();
      VM_LOG_INFO("stopped vmselectapi server");
    }
    daemon.StopRuntime();
    pool.Stop();
    vm::net::DropPending(daemon.runtime());
    daemon.LogStopped(Since(stopping));
  }
  return 0;
}
