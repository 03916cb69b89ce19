#include "insert/listen/line_listener.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "insert/listen/udp_server.h"
#include "lib/log/log.h"
#include "lib/net/tcp_server.h"

namespace vm::insert {

namespace asio = net::asio;

namespace {

struct Names {
  std::string_view label;       // Of metrics.
  std::string_view tcp_server;  // In log lines; tools look for them.
  std::string_view udp_server;
  BodyKind kind;
};

const Names& NamesOf(LineProtocol protocol) {
  static constexpr Names kGraphite = {"graphite", "TCP Graphite server", "UDP Graphite server", BodyKind::kGraphite};
  static constexpr Names kInflux = {"influx", "TCP InfluxDB server", "UDP InfluxDB server", BodyKind::kInflux};
  static constexpr Names kOpentsdb = {"opentsdb", "TCP OpenTSDB collector", "UDP OpenTSDB collector", BodyKind::kOpentsdb};
  switch (protocol) {
    case LineProtocol::kGraphite: return kGraphite;
    case LineProtocol::kInflux: return kInflux;
    case LineProtocol::kOpentsdb: return kOpentsdb;
  }
  return kGraphite;
}

struct RequestMetrics {
  RequestMetrics(metrics::Registry& registry, std::string_view type, std::string_view net)
      : requests(registry.GetCounter(Name("vm_ingestserver_requests_total", type, net))),
        errors(registry.GetCounter(Name("vm_ingestserver_request_errors_total", type, net))) {}

  static std::string Name(std::string_view name, std::string_view type, std::string_view net) {
    return fmt::format("{}{{type=\"{}\", name=\"write\", net=\"{}\"}}", name, type, net);
  }

  metrics::Counter& requests;
  metrics::Counter& errors;
};

/// A stream from which some bytes have been read already.
class PrefixedStream : public net::Stream {
 public:
  PrefixedStream(net::Stream& stream, uint8_t first) : stream_(stream), first_(first) {}

  asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override {
    if (has_first_ && !dst.empty()) {
      has_first_ = false;
      dst[0] = first_;
      co_return size_t{1};
    }
    co_return co_await stream_.Read(dst);
  }
  asio::awaitable<Status> Write(ByteView src) override { return stream_.Write(src); }
  void SetDeadline(const Deadline& deadline) override { stream_.SetDeadline(deadline); }
  void Close() override { stream_.Close(); }
  asio::any_io_executor executor() override { return stream_.executor(); }
  std::string remote_addr() const override { return stream_.remote_addr(); }
  std::string local_addr() const override { return stream_.local_addr(); }

 private:
  net::Stream& stream_;
  const uint8_t first_;
  bool has_first_ = true;
};

}  // namespace

struct LineListener::Impl {
  Impl(Options options_in, Ingester& ingester_in, metrics::Registry& registry)
      : options(std::move(options_in)),
        names(NamesOf(options.protocol)),
        ingester(ingester_in),
        tcp_metrics(registry, names.label, "tcp"),
        udp_metrics(registry, names.label, "udp") {}

  StreamFormat Format() const;
  /// Anew for each block of lines: the relabeling rules may have changed.
  IngestContext Context() const { return ingester.MakeContext(std::nullopt); }
  asio::awaitable<void> ServeTcp(net::Stream& stream);
  asio::awaitable<void> ServeUdp(ByteView datagram, std::string peer);

  const Options options;
  const Names& names;
  Ingester& ingester;
  RequestMetrics tcp_metrics;
  RequestMetrics udp_metrics;
  std::unique_ptr<net::TcpServer> tcp;
  std::unique_ptr<UdpServer> udp;
};

StreamFormat LineListener::Impl::Format() const {
  const InsertOptions& how = ingester.options();
  size_t max_line_bytes = how.max_text_line_bytes;
  std::function<Steps(std::string_view, bool, IngestOutput&)> parse;
  switch (options.protocol) {
    case LineProtocol::kGraphite:
      parse = [this, &how](std::string_view lines, bool, IngestOutput& output) {
        return IngestGraphite(lines, how.graphite, how.graphite_trim_ms, ingester.NowMs(), Context(), output);
      };
      break;
    case LineProtocol::kOpentsdb:
      parse = [this, &how](std::string_view lines, bool, IngestOutput& output) {
        return IngestOpentsdbTelnet(lines, how.opentsdb_trim_ms, ingester.NowMs(), Context(), output);
      };
      break;
    case LineProtocol::kInflux:
      max_line_bytes = how.influx.max_line_bytes;
      parse = [this, &how](std::string_view lines, bool, IngestOutput& output) {
        const InfluxTimestamps timestamps("", how.influx.trim_timestamp_ms);
        return IngestInflux(lines, timestamps, "", true, ingester.NowMs(), how.influx, Context(), output);
      };
      break;
  }
  return LinesFormat(max_line_bytes, std::move(parse));
}

asio::awaitable<void> LineListener::Impl::ServeTcp(net::Stream& stream) {
  std::unique_ptr<PrefixedStream> prefixed;
  net::Stream* source_stream = &stream;
  if (options.http != nullptr) {
    std::array<uint8_t, 1> first;
    const Result<size_t> size = co_await stream.Read(first);
    if (!size.ok() || size.value() == 0) co_return;
    prefixed = std::make_unique<PrefixedStream>(stream, first[0]);
    source_stream = prefixed.get();
    if (first[0] != 'p') {
      co_await options.http->Serve(std::move(prefixed));
      co_return;
    }
  }
  tcp_metrics.requests.Inc();
  ByteSource source = [source_stream](std::span<uint8_t> dst) -> asio::awaitable<Result<size_t>> {
    return [](net::Stream& from, std::span<uint8_t> to) -> asio::awaitable<Result<size_t>> {
      Result<size_t> size = co_await from.Read(to);
      // A connection that breaks has brought what it has brought.
      if (!size.ok()) co_return size_t{0};
      co_return size;
    }(*source_stream, dst);
  };
  std::string who = fmt::format("{} conn \"{}\"<->\"{}\"", names.tcp_server, stream.local_addr(), stream.remote_addr());
  StreamFormat format = Format();
  const Status status = co_await ingester.InsertStream(std::move(source), "", names.kind, who, std::move(format));
  if (status.ok()) co_return;
  tcp_metrics.errors.Inc();
  VM_LOG_ERROR("error in {}: {}", who, status.error().message());
}

asio::awaitable<void> LineListener::Impl::ServeUdp(ByteView datagram, std::string peer) {
  udp_metrics.requests.Inc();
  std::string who = fmt::format("{} conn \"{}\"<->\"{}\"", names.udp_server, udp->addr(), peer);
  ByteView rest = datagram;
  ByteSource source = [&rest](std::span<uint8_t> dst) -> asio::awaitable<Result<size_t>> {
    return [](ByteView& from, std::span<uint8_t> to) -> asio::awaitable<Result<size_t>> {
      const size_t size = std::min(from.size(), to.size());
      std::copy_n(from.begin(), size, to.begin());
      from = from.subspan(size);
      co_return size;
    }(rest, dst);
  };
  StreamFormat format = Format();
  const Status status = co_await ingester.InsertStream(std::move(source), "", names.kind, who, std::move(format));
  if (status.ok()) co_return;
  udp_metrics.errors.Inc();
  VM_LOG_ERROR("error in {}: {}", who, status.error().message());
}

Result<std::unique_ptr<LineListener>> LineListener::Start(net::Runtime& runtime, Options options, Ingester& ingester,
                                                          metrics::Registry& registry) {
  auto impl = std::make_unique<Impl>(std::move(options), ingester, registry);
  const std::string& addr = impl->options.addr;
  VM_LOG_INFO("starting {} at \"{}\"", impl->names.tcp_server, addr);
  net::TcpServer::Options tcp;
  tcp.name = impl->names.label;
  tcp.addr = addr;
  tcp.enable_tcp6 = impl->options.enable_tcp6;
  tcp.use_proxy_protocol = impl->options.use_proxy_protocol;
  tcp.registry = &registry;
  auto tcp_started = net::TcpServer::Start(runtime, std::move(tcp),
                                      [raw = impl.get()](net::Stream& stream) { return raw->ServeTcp(stream); });
  if (!tcp_started.ok()) {
    return std::move(tcp_started).error().WithContext(fmt::format("cannot start {} at \"{}\"", impl->names.tcp_server, addr));
  }
  impl->tcp = std::move(tcp_started).value();
  VM_LOG_INFO("started {} at \"{}\"", impl->names.tcp_server, impl->tcp->addr());
  VM_LOG_INFO("starting {} at \"{}\"", impl->names.udp_server, addr);
  auto udp_started = UdpServer::Start(runtime, addr, impl->options.enable_tcp6,
                                      [raw = impl.get()](ByteView datagram, std::string peer) {
                                        return raw->ServeUdp(datagram, std::move(peer));
                                      });
  if (!udp_started.ok()) {
    return std::move(udp_started).error().WithContext(fmt::format("cannot start {} at \"{}\"", impl->names.udp_server, addr));
  }
  impl->udp = std::move(udp_started).value();
  VM_LOG_INFO("started {} at \"{}\"", impl->names.udp_server, impl->udp->addr());
  return std::unique_ptr<LineListener>(new LineListener(std::move(impl)));
}

LineListener::LineListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

LineListener::~LineListener() {
  if (impl_->tcp != nullptr) impl_->tcp->Stop();
  if (impl_->udp != nullptr) impl_->udp->Stop();
}

std::string LineListener::tcp_addr() const { return impl_->tcp->addr(); }
std::string LineListener::udp_addr() const { return impl_->udp->addr(); }

void LineListener::Stop() {
  VM_LOG_INFO("stopping {} at \"{}\"...", impl_->names.tcp_server, impl_->options.addr);
  impl_->tcp->Stop();
  VM_LOG_INFO("stopping {} at \"{}\"...", impl_->names.udp_server, impl_->options.addr);
  impl_->udp->Stop();
  VM_LOG_INFO("{} and {} at \"{}\" have been stopped", impl_->names.tcp_server, impl_->names.udp_server, impl_->options.addr);
}

}  // namespace vm::insert
