#pragma once

#include <memory>
#include <string_view>

#include "lib/metrics/metrics.h"
#include "lib/net/stream.h"

namespace vm::net {

/// Figures of the connections of one listener or of one dialed address. Thread-safe.
class StreamMetrics {
 public:
  enum class Side { kListener, kDialer };

  /// `vm_tcplistener_*{name="...", addr="..."}` or `vm_tcpdialer_*`. `registry` must outlive the streams.
  StreamMetrics(metrics::Registry& registry, Side side, std::string_view name, std::string_view addr);

  /// Accepts or dials, and those that went wrong.
  metrics::Counter& attempts;
  metrics::Counter& attempt_errors;
  metrics::Gauge& conns;
  metrics::Counter& read_calls;
  metrics::Counter& read_bytes;
  metrics::Counter& read_errors;
  metrics::Counter& read_timeouts;
  metrics::Counter& write_calls;
  metrics::Counter& written_bytes;
  metrics::Counter& write_errors;
  metrics::Counter& write_timeouts;
};

/// `stream`, counted in `metrics` as long as it lives; unchanged without metrics.
std::unique_ptr<Stream> CountStream(std::unique_ptr<Stream> stream, std::shared_ptr<StreamMetrics> metrics);

}  // namespace vm::net
