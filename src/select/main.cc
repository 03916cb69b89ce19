#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "lib/daemon/daemon.h"
#include "lib/daemon/version.h"
#include "lib/fs/file_system.h"
#include "lib/log/log.h"
#include "lib/metricsql/ast.h"
#include "lib/net/drop_pending.h"
#include "lib/rpc/node_set.h"
#include "lib/sys/sys.h"
#include "select/clusternative/cluster_native.h"
#include "select/fanout/fanout.h"
#include "select/flags.h"
#include "select/http/api.h"
#include "select/promql/rollup_cache.h"
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

/// Loads what an earlier run kept. Returns the path of the file for what is kept at the end, or nothing.
std::string OpenCacheFile(const vm::select::Flags& flags, vm::select::RollupCache& cache) {
  if (flags.cache_data_path().empty()) return {};
  vm::fs::FileSystem& fs = vm::fs::RealFileSystem();
  if (const auto made = fs.CreateDirectories(flags.cache_data_path()); !made.ok()) VM_FATAL("cannot use -cacheDataPath: {}", made.error().message());
  // Not where the reference has its own, which is another format.
  const std::string path = vm::fs::Join(flags.cache_data_path(), "rollup_results.bin");
  if (flags.resets_rollup_cache() && fs.Exists(path)) {
    VM_LOG_INFO("removing rollupResult cache at \"{}\"", path);
    if (const auto removed = fs.RemoveFile(path); !removed.ok()) VM_FATAL("cannot remove a kept cache: {}", removed.error().message());
  }
  cache.LoadFrom(fs, path);
  return path;
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
    auto cache_options = flags.ToRollupCacheOptions(daemon.allowed_memory_bytes());
    cache_options.registry = &daemon.metrics();
    vm::select::RollupCache rollup_cache(cache_options);
    const std::string cache_file = OpenCacheFile(flags, rollup_cache);
    // What is kept between queries is not there for them.
    vm::Budget memory("-memory.allowedBytes", daemon.allowed_memory_bytes() - static_cast<int64_t>(cache_options.max_bytes));
    vm::select::Api api(daemon.runtime(), pool, fanout, rollup_cache, std::move(options), daemon.metrics(), memory);
    std::unique_ptr<vm::select::ClusterNativeServer> cluster_native;
    if (auto native = flags.ToClusterNativeOptions(); !native.addr.empty()) {
      native.on_deletion = [&rollup_cache] { rollup_cache.Reset(); };
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
    if (!cache_file.empty()) rollup_cache.SaveTo(vm::fs::RealFileSystem(), cache_file);
    daemon.LogStopped(Since(stopping));
  }
  return 0;
}
