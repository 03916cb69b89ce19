#include <string>

#include "insert/http/handler.h"

namespace vm::insert {

void RegisterShipMetrics(metrics::Registry& registry, const Shipper& shipper,
                         const std::string& rpc_call) {
  for (size_t node = 0; node < shipper.nodes_count(); ++node) {
    const NodeStats& stats = shipper.stats(node);
    const std::string labels = "{name=\"vminsert\", addr=\"" + shipper.address(node) +
                               "\", rpc_call=\"" + rpc_call + "\"}";
    const auto add = [&](const char* name, const std::atomic<uint64_t>& value, double scale = 1) {
      registry.SetGaugeCallback(name + labels, [&value, scale] {
        return static_cast<double>(value.load(std::memory_order_relaxed)) * scale;
      });
    };
    add("vm_rpc_buf_pending_bytes", stats.pending_bytes);
    add("vm_rpc_rows_pending", stats.pending_rows);
    add("vm_rpc_rows_pushed_total", stats.pushed_rows);
    add("vm_rpc_rows_sent_total", stats.sent_rows);
    add("vm_rpc_rows_rerouted_from_here_total", stats.rerouted_from_here_rows);
    add("vm_rpc_rows_rerouted_to_here_total", stats.rerouted_to_here_rows);
    add("vm_rpc_rows_dropped_on_overload_total", stats.dropped_on_overload_rows);
    add("vm_rpc_rows_dropped_on_unsupported_rpc", stats.dropped_on_unsupported_rows);
    add("vm_rpc_dial_errors_total", stats.dial_errors);
    add("vm_rpc_connection_errors_total", stats.connection_errors);
    add("vm_rpc_send_duration_seconds_total", stats.send_duration_us, 1e-6);
    registry.SetGaugeCallback("vm_rpc_vmstorage_is_reachable" + labels,
                              [&stats] { return stats.is_reachable ? 1.0 : 0.0; });
    registry.SetGaugeCallback("vm_rpc_vmstorage_is_read_only" + labels,
                              [&stats] { return stats.is_read_only ? 1.0 : 0.0; });
  }
  if (rpc_call != "metric_rows") return;
  registry.SetGaugeCallback("vm_rpc_rows_incompletely_replicated_total{name=\"vminsert\"}", [&] {
    return static_cast<double>(shipper.incompletely_replicated_rows());
  });
  registry.SetGaugeCallback("vm_rpc_rerouted_rows_processed_total{name=\"vminsert\"}",
                            [&] { return static_cast<double>(shipper.rerouted_rows()); });
  registry.SetGaugeCallback("vm_rpc_reroutes_total{name=\"vminsert\"}",
                            [&] { return static_cast<double>(shipper.reroutes()); });
}

}  // namespace vm::insert
