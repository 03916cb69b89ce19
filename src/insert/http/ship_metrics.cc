#include <string>

#include "insert/http/handler.h"

namespace vm::insert {

void RegisterShipMetrics(metrics::Registry& registry, const Shipper& shipper,
                         const std::string& rpc_call) {
  const bool is_samples = rpc_call == "metric_rows";
  for (size_t node = 0; node < shipper.nodes_count(); ++node) {
    const NodeStats& stats = shipper.stats(node);
    const std::string labels = "{name=\"vminsert\", addr=\"" + shipper.address(node) +
                               "\", rpc_call=\"" + rpc_call + "\"}";
    const auto read = [](const std::atomic<uint64_t>& value, double scale) {
      return [&value, scale] { return static_cast<double>(value.load(std::memory_order_relaxed)) * scale; };
    };
    const auto gauge = [&](const char* name, const std::atomic<uint64_t>& value) {
      registry.SetGaugeCallback(name + labels, read(value, 1));
    };
    const auto counter = [&](const char* name, const std::atomic<uint64_t>& value, double scale = 1) {
      registry.SetCounterCallback(name + labels, read(value, scale));
    };
    gauge("vm_rpc_buf_pending_bytes", stats.pending_bytes);
    gauge("vm_rpc_rows_pending", stats.pending_rows);
    counter("vm_rpc_rows_pushed_total", stats.pushed_rows);
    counter("vm_rpc_rows_sent_total", stats.sent_rows);
    counter("vm_rpc_rows_rerouted_from_here_total", stats.rerouted_from_here_rows);
    counter("vm_rpc_rows_rerouted_to_here_total", stats.rerouted_to_here_rows);
    counter("vm_rpc_rows_dropped_on_overload_total", stats.dropped_on_overload_rows);
    counter("vm_rpc_rows_dropped_on_unsupported_rpc", stats.dropped_on_unsupported_rows);
    counter("vm_rpc_dial_errors_total", stats.dial_errors);
    counter("vm_rpc_handshake_errors_total", stats.handshake_errors);
    counter("vm_rpc_connection_errors_total", stats.connection_errors);
    counter("vm_rpc_rows_unacknowledged_total", stats.unacknowledged_rows);
    counter("vm_rpc_send_duration_seconds_total", stats.send_duration_us, 1e-6);
    if (!is_samples) continue;
    registry.SetGaugeCallback("vm_rpc_vmstorage_is_reachable" + labels,
                              [&stats] { return stats.is_reachable ? 1.0 : 0.0; });
    registry.SetGaugeCallback("vm_rpc_vmstorage_is_read_only" + labels,
                              [&stats] { return stats.is_read_only ? 1.0 : 0.0; });
  }
  if (!is_samples) return;
  registry.SetCounterCallback("vm_rpc_rows_incompletely_replicated_total{name=\"vminsert\"}", [&] {
    return static_cast<double>(shipper.incompletely_replicated_rows());
  });
  registry.SetCounterCallback("vm_rpc_rerouted_rows_processed_total{name=\"vminsert\"}",
                              [&] { return static_cast<double>(shipper.rerouted_rows()); });
  registry.SetCounterCallback("vm_rpc_reroutes_total{name=\"vminsert\"}",
                              [&] { return static_cast<double>(shipper.reroutes()); });
}

}  // namespace vm::insert
