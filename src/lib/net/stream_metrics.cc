#include "lib/net/stream_metrics.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "lib/net/stream_errors.h"

namespace vm::net {
namespace {

struct Names {
  std::string prefix;
  std::string labels;

  std::string operator()(std::string_view suffix) const { return fmt::format("{}{}{{{}}}", prefix, suffix, labels); }
  std::string Error(std::string_view type) const {
    return fmt::format("{}errors_total{{{}, type=\"{}\"}}", prefix, labels, type);
  }
};

Names MakeNames(StreamMetrics::Side side, std::string_view name, std::string_view addr) {
  return Names{side == StreamMetrics::Side::kListener ? "vm_tcplistener_" : "vm_tcpdialer_",
               fmt::format("name=\"{}\", addr=\"{}\"", name, addr)};
}

class CountedStream : public Stream {
 public:
  CountedStream(std::unique_ptr<Stream> stream, std::shared_ptr<StreamMetrics> metrics)
      : stream_(std::move(stream)), metrics_(std::move(metrics)) {
    metrics_->conns.Inc();
  }
  ~CountedStream() override { metrics_->conns.Dec(); }

  asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override {
    const auto metrics = metrics_;  // The stream may go away while this waits.
    metrics->read_calls.Inc();
    auto n = co_await stream_->Read(dst);
    if (n.ok()) {
      metrics->read_bytes.Add(n.value());
    } else {
      (IsTimeout(n.error()) ? metrics->read_timeouts : metrics->read_errors).Inc();
    }
    co_return n;
  }

  asio::awaitable<Status> Write(ByteView src) override {
    const auto metrics = metrics_;
    metrics->write_calls.Inc();
    auto status = co_await stream_->Write(src);
    if (status.ok()) {
      metrics->written_bytes.Add(src.size());
    } else {
      (IsTimeout(status.error()) ? metrics->write_timeouts : metrics->write_errors).Inc();
    }
    co_return status;
  }

  asio::awaitable<Status> WriteBoth(ByteView head, ByteView body) override {
    const auto metrics = metrics_;
    metrics->write_calls.Inc();
    auto status = co_await stream_->WriteBoth(head, body);
    if (status.ok()) {
      metrics->written_bytes.Add(head.size() + body.size());
    } else {
      (IsTimeout(status.error()) ? metrics->write_timeouts : metrics->write_errors).Inc();
    }
    co_return status;
  }

  void SetDeadline(const Deadline& deadline) override { stream_->SetDeadline(deadline); }
  void Close() override { stream_->Close(); }
  asio::any_io_executor executor() override { return stream_->executor(); }
  std::string remote_addr() const override { return stream_->remote_addr(); }
  std::string local_addr() const override { return stream_->local_addr(); }

 private:
  const std::unique_ptr<Stream> stream_;
  const std::shared_ptr<StreamMetrics> metrics_;
};

}  // namespace

StreamMetrics::StreamMetrics(metrics::Registry& registry, Side side, std::string_view name, std::string_view addr)
    : attempts(registry.GetCounter(
          MakeNames(side, name, addr)(side == Side::kListener ? "accepts_total" : "dials_total"))),
      attempt_errors(
          registry.GetCounter(MakeNames(side, name, addr).Error(side == Side::kListener ? "accept" : "dial"))),
      conns(registry.GetGauge(MakeNames(side, name, addr)("conns"))),
      read_calls(registry.GetCounter(MakeNames(side, name, addr)("read_calls_total"))),
      read_bytes(registry.GetCounter(MakeNames(side, name, addr)("read_bytes_total"))),
      read_errors(registry.GetCounter(MakeNames(side, name, addr).Error("read"))),
      read_timeouts(registry.GetCounter(MakeNames(side, name, addr)("read_timeouts_total"))),
      write_calls(registry.GetCounter(MakeNames(side, name, addr)("write_calls_total"))),
      written_bytes(registry.GetCounter(MakeNames(side, name, addr)("written_bytes_total"))),
      write_errors(registry.GetCounter(MakeNames(side, name, addr).Error("write"))),
      write_timeouts(registry.GetCounter(MakeNames(side, name, addr)("write_timeouts_total"))) {
  registry.GetCounter(MakeNames(side, name, addr).Error("close"));
}

std::unique_ptr<Stream> CountStream(std::unique_ptr<Stream> stream, std::shared_ptr<StreamMetrics> metrics) {
  if (metrics == nullptr) return stream;
  return std::make_unique<CountedStream>(std::move(stream), std::move(metrics));
}

}  // namespace vm::net
