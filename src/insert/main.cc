#include <fmt/ranges.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "insert/flags.h"
#include "insert/reference_flags.h"
#include "insert/http/handler.h"
#include "insert/listen/cluster_native.h"
#include "insert/listen/line_listener.h"
#include "insert/listen/opentsdb_http.h"
#include "insert/relabel/relabel_config.h"
#include "insert/ship/rpc_node_client.h"
#include "insert/ship/shipper.h"
#include "lib/daemon/daemon.h"
#include "lib/hash/rendezvous.h"
#include "lib/log/log.h"
#include "lib/net/drop_pending.h"
#include "lib/net/run_on.h"
#include "lib/net/runtime.h"
#include "lib/net/stream_metrics.h"
#include "lib/sys/sys.h"

namespace vm::insert {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

ShipEvents LogEvents() {
  const auto every_5s = [] { return std::make_shared<log::Throttle>(std::chrono::seconds(5)); };
  ShipEvents events;
  events.on_dialed = [](const std::string& address) {
    VM_LOG_INFO("successfully dialed -storageNode=\"{}\"", address);
  };
  events.on_unreachable = [](const std::string& address, const Error& error) {
    VM_LOG_WARN("cannot use -storageNode=\"{}\": {}; its rows go to other nodes until it is back", address,
                error.message());
  };
  events.on_read_only = [](const std::string& address) {
    VM_LOG_WARN("-storageNode=\"{}\" is in read-only mode; its rows go to other nodes", address);
  };
  events.on_rows_lost = [](const std::string& address, size_t rows_count) {
    VM_LOG_ERROR("dropping {} rows for -storageNode=\"{}\" on graceful shutdown, since all the vmstorage nodes are "
                 "unavailable",
                 rows_count, address);
  };
  events.on_dropped_on_overload = [throttle = every_5s()](const std::string& address) {
    VM_LOG_WARN_THROTTLED(*throttle,
                          "some rows are dropped, because -dropSamplesOnOverload is set and vmstorage {} cannot accept new "
                          "rows now. See vm_rpc_rows_dropped_on_overload_total metric at /metrics page",
                          address);
  };
  events.on_slowness_rerouting = [throttle = every_5s()](const std::string& address) {
    VM_LOG_WARN_THROTTLED(*throttle, "reroute metrics from the slowest storage \"{}\"", address);
  };
  events.on_incomplete_replication = [throttle = every_5s()](size_t copies, size_t rows_count) {
    VM_LOG_WARN_THROTTLED(*throttle,
                          "cannot make a copy #{} of {} rows according to -replicationFactor, since a part of storage nodes "
                          "is temporarily unavailable",
                          copies + 1, rows_count);
  };
  events.on_no_nodes = [throttle = every_5s()](size_t rows_count) {
    VM_LOG_WARN_THROTTLED(*throttle,
                          "cannot push {} rows to storage nodes, since all the nodes are temporarily unavailable; re-trying "
                          "to send the data soon",
                          rows_count);
  };
  return events;
}

std::unique_ptr<Shipper> MakeShipper(daemon::Daemon& daemon, RowKind kind, const hash::Rendezvous& placement,
                                     const std::vector<std::string>& addresses, const ShipOptions& options,
                                     rpc::InsertConnOptions connections, const std::string& rpc_call) {
  std::vector<Shipper::Node> nodes;
  for (const std::string& configured : addresses) {
    const std::string address = net::NormalizeAddr(configured, 8400).value();
    connections.dial.metrics = std::make_shared<net::StreamMetrics>(
        daemon.metrics(), net::StreamMetrics::Side::kDialer, "vminsert_" + rpc_call, address);
    nodes.push_back(Shipper::Node{address, MakeRpcNodeClient(address, kind, connections)});
  }
  auto shipper = std::make_unique<Shipper>(daemon.runtime().MakeStrand(), kind, placement, std::move(nodes), options,
                                           LogEvents());
  RegisterShipMetrics(daemon.metrics(), *shipper, rpc_call);
  return shipper;
}

net::asio::awaitable<bool> StopShipper(Shipper& shipper) {
  co_await shipper.Stop();
  co_return true;
}

/// What listens beside HTTP. Ends the process when an address is taken.
class Listeners {
 public:
  Listeners(daemon::Daemon& daemon, const InsertFlags& flags, Ingester& ingester, net::Pool& pool)
      : daemon_(daemon), ingester_(ingester), opentsdb_handler_(ingester, daemon.metrics()) {
    if (const std::string& addr = flags.cluster_native_addr(); !addr.empty()) {
      ClusterNativeServer::Options options;
      options.addr = addr;
      options.enable_tcp6 = daemon.enable_tcp6();
      options.shutdown_duration = flags.cluster_native_shutdown_duration();
      options.rpc.handshake_timeout = flags.handshake_timeout();
      options.rpc.pool = &pool;
      auto started = ClusterNativeServer::Start(daemon.runtime(), std::move(options), ingester, daemon.metrics());
      if (!started.ok()) VM_FATAL("cannot initialize vminsertapi server: {}", started.error().message());
      cluster_native_ = std::move(started).value();
    }
    StartLines(LineProtocol::kGraphite, flags.graphite_addr(), flags.graphite_uses_proxy());
    StartLines(LineProtocol::kInflux, flags.influx_addr(), flags.influx_uses_proxy());
    if (!flags.opentsdb_addr().empty()) {
      opentsdb_http_ = http::Server::WithoutListener(daemon.runtime(), daemon.HttpOptions(), OpentsdbRouter());
      StartLines(LineProtocol::kOpentsdb, flags.opentsdb_addr(), flags.opentsdb_uses_proxy());
    }
    if (const std::string& addr = flags.opentsdb_http_addr(); !addr.empty()) {
      VM_LOG_INFO("starting HTTP OpenTSDB server at \"{}\"", addr);
      http::Server::Options options = daemon.HttpOptions();
      options.addr = addr;
      options.use_proxy_protocol = flags.opentsdb_http_uses_proxy();
      auto started = http::Server::Start(daemon.runtime(), std::move(options), OpentsdbRouter());
      if (!started.ok()) VM_FATAL("cannot start HTTP OpenTSDB collector at \"{}\": {}", addr, started.error().message());
      opentsdb_http_listener_ = std::move(started).value();
    }
  }

  void Stop() {
    if (cluster_native_) cluster_native_->Stop();
    if (opentsdb_http_) opentsdb_http_->Stop(std::chrono::seconds(5));
    for (const auto& listener : lines_) listener->Stop();
    if (opentsdb_http_listener_) opentsdb_http_listener_->Stop(std::chrono::seconds(5));
  }

 private:
  http::Handler OpentsdbRouter() {
    return [this](http::Request& request, http::Response& response) { return ServeOpentsdb(request, response); };
  }
  net::asio::awaitable<void> ServeOpentsdb(http::Request& request, http::Response& response) {
    const bool is_allowed = co_await daemon_.CheckAuth(request, response);
    if (is_allowed) co_await opentsdb_handler_.Handle(request, response);
  }

  void StartLines(LineProtocol protocol, const std::string& addr, bool use_proxy_protocol) {
    if (addr.empty()) return;
    LineListener::Options options;
    options.protocol = protocol;
    options.addr = addr;
    options.enable_tcp6 = daemon_.enable_tcp6();
    options.use_proxy_protocol = use_proxy_protocol;
    if (protocol == LineProtocol::kOpentsdb) options.http = opentsdb_http_.get();
    auto started = LineListener::Start(daemon_.runtime(), std::move(options), ingester_, daemon_.metrics());
    if (!started.ok()) VM_FATAL("{}", started.error().message());
    lines_.push_back(std::move(started).value());
  }

  daemon::Daemon& daemon_;
  Ingester& ingester_;
  OpentsdbHttpHandler opentsdb_handler_;
  std::unique_ptr<ClusterNativeServer> cluster_native_;
  std::unique_ptr<http::Server> opentsdb_http_;
  std::unique_ptr<http::Server> opentsdb_http_listener_;
  std::vector<std::unique_ptr<LineListener>> lines_;
};

int Run(int argc, char** argv) {
  const auto start = Clock::now();
  daemon::Daemon daemon("vminsert", ":8480");
  const InsertFlags flags(daemon.flags());
  daemon.flags().AcceptUndefined(vm::insert::kReferenceFlags);
  daemon.Init(argc, argv);

  const std::vector<std::string> addresses = flags.StorageNodes();
  VM_LOG_INFO("initializing netstorage for storageNodes [{}]...", fmt::format("{}", fmt::join(addresses, " ")));
  const auto netstorage_start = Clock::now();
  const int64_t memory_bytes = daemon.allowed_memory_bytes();
  net::Pool pool("ingest", sys::AvailableCpus());
  // Levels of vminsert must not place alike, or each node below would get series of few nodes only.
  const hash::Rendezvous placement(addresses, flags.cluster_native_addr().empty() ? 0 : hash::kClusterNativeSeed);
  rpc::InsertConnOptions connections = flags.Connections();
  connections.pool = &pool;
  connections.dial.enable_tcp6 = daemon.enable_tcp6();
  const ShipOptions shipping = flags.Shipping(addresses.size(), memory_bytes);
  const auto samples =
      MakeShipper(daemon, RowKind::kSamples, placement, addresses, shipping, connections, "metric_rows");
  const auto metadata =
      MakeShipper(daemon, RowKind::kMetadata, placement, addresses, shipping, connections, "metricmetadata_rows");
  samples->Start();
  metadata->Start();
  VM_LOG_INFO("successfully initialized netstorage in {:.3f} seconds", SecondsSince(netstorage_start));

  InsertTargets targets;
  targets.placement = &placement;
  targets.samples = samples.get();
  targets.metadata = metadata.get();
  Ingester ingester(flags.Inserting(addresses.size(), memory_bytes), targets, pool, sys::RealClock(), daemon.metrics());
  std::unique_ptr<RelabelConfig> relabeling;
  daemon::Daemon::WaitHooks hooks;
  if (!flags.relabel_config().empty()) {
    relabeling = std::make_unique<RelabelConfig>(
        flags.relabel_config(), [&daemon](const std::string& path) { return ReadFileOrUrl(daemon.runtime(), path); },
        sys::RealClock(), daemon.metrics(),
        [&ingester](std::shared_ptr<const relabel::Rules> rules) { ingester.SetRelabeling(std::move(rules)); });
    if (Status loaded = relabeling->Load(); !loaded.ok()) {
      VM_FATAL("cannot load relabelConfig: {}", loaded.error().message());
    }
    hooks.on_hangup = [&relabeling] { relabeling->Reload(true); };
    hooks.on_tick = [&relabeling] { relabeling->Reload(false); };
    hooks.tick = flags.relabel_check_interval();
  }
  InsertHandler handler(ingester, daemon.metrics());
  Listeners listeners(daemon, flags, ingester, pool);
  daemon.StartHttp([&handler](http::Request& request, http::Response& response) {
    return handler.Handle(request, response);
  });
  daemon.LogStarted(SecondsSince(start));

  daemon.WaitForSignal(hooks);
  daemon.StopHttp();
  listeners.Stop();
  VM_LOG_INFO("shutting down neststorage...");  // Spelt as in the reference: tools look for it.
  const auto stop_start = Clock::now();
  net::BlockOn(daemon.runtime().executor(), StopShipper(*samples));
  net::BlockOn(daemon.runtime().executor(), StopShipper(*metadata));
  daemon.StopRuntime();
  pool.Stop();
  net::DropPending(daemon.runtime());
  VM_LOG_INFO("successfully stopped netstorage in {:.3f} seconds", SecondsSince(stop_start));
  daemon.LogStopped(SecondsSince(stop_start));
  return 0;
}

}  // namespace
}  // namespace vm::insert

int main(int argc, char** argv) { return vm::insert::Run(argc, argv); }
