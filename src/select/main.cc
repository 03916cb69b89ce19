#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "lib/daemon/daemon.h"
#include "lib/rpc/node_set.h"
#include "select/fanout/fanout.h"
#include "select/flags.h"
#include "select/reference_flags.h"
#include "select/http/api.h"

namespace {

constexpr uint16_t kDefaultStoragePort = 8401;

int64_t Ms(std::chrono::nanoseconds d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }
double Since(std::chrono::steady_clock::time_point t) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count(); }

}  // namespace

int main(int argc, char** argv) {
  const auto started = std::chrono::steady_clock::now();
  vm::daemon::Daemon daemon("vmselect", ":8481");
  const vm::select::Flags flags(daemon.flags());
  daemon.flags().AcceptUndefined(vm::select::kReferenceFlags);
  daemon.Init(argc, argv);

  auto nodes = vm::rpc::NodeSet::Parse(*flags.storage_node, kDefaultStoragePort);
  if (!nodes.ok()) {
    std::fprintf(stderr, "cannot use -storageNode: %s\n", nodes.error().message().c_str());
    return 1;
  }
  vm::select::FanoutOptions fanout_options;
  fanout_options.replication_factor = static_cast<size_t>(std::max<int64_t>(1, *flags.replication_factor));
  fanout_options.deny_partial_response = *flags.deny_partial;
  fanout_options.dedup_interval_ms = Ms(*flags.dedup_interval);
  vm::select::ApiOptions options;
  options.latency_offset_ms = Ms(*flags.latency_offset);
  options.max_lookback_ms = Ms(*flags.max_lookback) > 0 ? Ms(*flags.max_lookback) : Ms(*flags.max_staleness_interval);
  options.max_query_duration_ms = Ms(*flags.max_query_duration);
  options.max_export_duration_ms = Ms(*flags.max_export_duration);
  options.max_points_per_series = *flags.max_points;
  options.max_unique_series = static_cast<uint32_t>(*flags.max_unique_series);
  options.max_query_len = static_cast<size_t>(*flags.max_query_len);

  const size_t cpus = std::max(1U, std::thread::hardware_concurrency());
  {
    vm::net::Pool pool("search", cpus);
    vm::select::Fanout fanout(daemon.runtime(), pool, nodes.value(), fanout_options);
    vm::select::Api api(pool, fanout, options);
    daemon.StartHttp([&api](vm::http::Request& request, vm::http::Response& response) { return api.Handle(request, response); });
    daemon.LogStarted(Since(started));
    daemon.WaitForSignal();
    const auto stopping = std::chrono::steady_clock::now();
    daemon.StopHttp();
    pool.Stop();
    daemon.StopRuntime();
    daemon.LogStopped(Since(stopping));
  }
  return 0;
}
