#include "insert/listen/cluster_native.h"

#include <fmt/format.h>

#include <utility>

#include "lib/log/log.h"
#include "lib/net/borrowed_stream.h"
#include "lib/net/tcp_server.h"

namespace vm::insert {

namespace asio = net::asio;

struct ClusterNativeServer::Impl : rpc::InsertSink {
  Impl(Options options_in, Ingester& ingester_in, metrics::Registry& registry)
      : options(std::move(options_in)),
        ingester(ingester_in),
        conns(registry.GetGauge("vm_vminsert_conns")),
        metrics_read(registry.GetCounter("vm_vminsert_metrics_read_total")),
        metadata_read(registry.GetCounter("vm_vminsert_metadata_read_total")),
        metadata_inserted(registry.GetCounter("vm_metadata_inserted_total{type=\"clusternative\"}")) {
    registry.GetCounter("vm_vminsert_conn_errors_total");
  }

  asio::awaitable<Status> OnRows(ByteBuffer rows) override {
    const auto parse = [this, &rows](IngestOutput& output) { return IngestMetricRows(rows, Context(), output); };
    co_return co_await Insert(parse);
  }
  asio::awaitable<Status> OnMetadata(ByteBuffer rows) override {
    const auto parse = [this, &rows](IngestOutput& output) { return IngestMetadataRows(rows, Context(), output); };
    co_return co_await Insert(parse);
  }
  bool IsReadOnly() const override { return false; }

  /// An error refuses the rows: their sender has them still. Broken ones are taken, they would not get better.
  asio::awaitable<Status> Insert(std::function<Steps(IngestOutput&)> parse) {
    IngestOutput output;
    Status status = co_await ingester.InsertRows(BodyKind::kClusterNative, "clusternative", std::move(parse), output);
    if (status.ok()) {
      metrics_read.Add(output.rows_count);
      metadata_read.Add(output.metadata_count);
      metadata_inserted.Add(output.metadata_count);
      co_return Ok();
    }
    VM_LOG_ERROR("cannot process rows of a vminsert: {}", status.error().message());
    const ErrorCode code = status.error().code();
    if (code == ErrorCode::kInvalidInput || code == ErrorCode::kCorrupted) co_return Ok();
    co_return status;
  }

  /// Anew for each packet: the relabeling rules may have changed.
  IngestContext Context() { return ingester.MakeContext(std::nullopt); }

  asio::awaitable<void> Serve(net::Stream& stream) {
    conns.Inc();
    VM_LOG_INFO("processing vminsert conn from {}", stream.remote_addr());
    co_await rpc::ServeInsert(std::make_unique<net::BorrowedStream>(stream), *this, options.rpc);
    VM_LOG_INFO("closing vminsert conn from {}", stream.remote_addr());
    conns.Dec();
  }

  const Options options;
  Ingester& ingester;
  metrics::Gauge& conns;
  metrics::Counter& metrics_read;
  metrics::Counter& metadata_read;
  metrics::Counter& metadata_inserted;
  std::unique_ptr<net::TcpServer> server;
};

Result<std::unique_ptr<ClusterNativeServer>> ClusterNativeServer::Start(net::Runtime& runtime, Options options,
                                                                        Ingester& ingester, metrics::Registry& registry) {
  auto impl = std::make_unique<Impl>(std::move(options), ingester, registry);
  net::TcpServer::Options tcp;
  tcp.name = "clusternative";
  tcp.addr = impl->options.addr;
  tcp.enable_tcp6 = impl->options.enable_tcp6;
  tcp.registry = &registry;
  VM_ASSIGN_OR_RETURN(impl->server, net::TcpServer::Start(runtime, std::move(tcp), [raw = impl.get()](net::Stream& stream) {
                        return raw->Serve(stream);
                      }));
  VM_LOG_INFO("started TCP clusternative server at \"{}\"", impl->server->addr());
  VM_LOG_INFO("accepting vminsert conns at {}", impl->server->addr());
  return std::unique_ptr<ClusterNativeServer>(new ClusterNativeServer(std::move(impl)));
}

ClusterNativeServer::ClusterNativeServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ClusterNativeServer::~ClusterNativeServer() {
  if (impl_->server != nullptr) impl_->server->Stop();
}

std::string ClusterNativeServer::addr() const { return impl_->server->addr(); }

void ClusterNativeServer::Stop() {
  const size_t count = impl_->server->connections();
  const auto pause = count > 0 ? impl_->options.shutdown_duration / static_cast<int64_t>(count) : std::chrono::milliseconds(0);
  VM_LOG_INFO("closing {} vminsert connections with {}ms interval between them", count, pause.count());
  impl_->server->Stop(impl_->options.shutdown_duration);
}

}  // namespace vm::insert
