#include <fmt/ranges.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "insert/flags.h"
#include "insert/reference_flags.h"
#include "insert/http/handler.h"
#include "insert/ship/rpc_node_client.h"
#include "insert/ship/shipper.h"
#include "lib/daemon/daemon.h"
#include "lib/hash/rendezvous.h"
#include "lib/log/log.h"
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
  const hash::Rendezvous placement(addresses, 0);
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
  InsertHandler handler(ingester, daemon.metrics());
  daemon.StartHttp([&handler](http::Request& request, http::Response& response) {
    return handler.Handle(request, response);
  });
  daemon.LogStarted(SecondsSince(start));

  daemon.WaitForSignal();
  daemon.StopHttp();
  VM_LOG_INFO("shutting down neststorage...");  // Spelt as in the reference: tools look for it.
  const auto stop_start = Clock::now();
  net::BlockOn(daemon.runtime().executor(), StopShipper(*samples));
  net::BlockOn(daemon.runtime().executor(), StopShipper(*metadata));
  daemon.StopRuntime();
  pool.Stop();
  VM_LOG_INFO("successfully stopped netstorage in {:.3f} seconds", SecondsSince(stop_start));
  daemon.LogStopped(SecondsSince(stop_start));
  return 0;
}

}  // namespace
}  // namespace vm::insert

int main(int argc, char** argv) { return vm::insert::Run(argc, argv); }
