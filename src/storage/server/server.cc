#include "storage/server/server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/log/log.h"
#include "lib/model/rows.h"
#include "lib/net/run_many.h"
#include "lib/net/run_on.h"
#include "lib/net/stream.h"
#include "lib/net/stream_metrics.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/insert_server.h"
#include "lib/rpc/select_handler.h"
#include "lib/rpc/select_server.h"
#include "lib/sys/sys.h"
#include "storage/server/http_handler.h"

namespace vm::storage {
namespace {

/// Hands packets to the engine on the ingest pool: a connection waits for its own packet, so memory is bounded by
/// the number of connections.
class EngineSink final : public rpc::InsertSink {
 public:
  EngineSink(Engine& engine, net::Pool& pool, metrics::Registry& registry, rpc::InsertServerMetrics& metrics,
             std::stop_token stop)
      : engine_(engine),
        pool_(pool),
        metrics_(metrics),
        rows_read_(registry.GetCounter("vm_vminsert_metrics_read_total")),
        metadata_read_(registry.GetCounter("vm_vminsert_metadata_read_total")),
        // The original's index merges help writers there; ours only make them wait.
        waits_for_room_(registry.GetCounter("vm_assisted_merges_total{type=\"indexdb/inmemory\"}")),
        rows_parsed_(registry.GetCounter(
            "vm_protoparser_rows_read_total{type=\"clusternative\",block_type=\"metric_rows\"}")),
        metadata_parsed_(registry.GetCounter(
            "vm_protoparser_rows_read_total{type=\"clusternative\",block_type=\"metricsmetadata_rows\"}")),
        stop_(std::move(stop)) {}

  net::asio::awaitable<Status> OnRows(ByteBuffer rows) override {
    // The peer waits with us: its buffers are the queue.
    if (!engine_.HasRoom()) waits_for_room_.Inc();
    while (!engine_.HasRoom() && !stop_.stop_requested()) co_await net::SleepFor(kRoomCheckInterval);
    // Several threads take pieces of a large packet: one connection may bring all rows there are.
    const size_t workers = std::clamp<size_t>(rows.size() / kMinBytesPerWorker, 1, pool_.threads());
    const auto packet = std::make_shared<Packet>(std::move(rows));
    std::function<void()> work = [this, packet] { AddRows(*packet); };
    co_await net::RunMany(pool_, workers, std::move(work));
    co_return packet->TakeStatus();
  }
  net::asio::awaitable<Status> OnMetadata(ByteBuffer rows) override {
    auto work = [this, &rows]() noexcept {
      AddMetadata(rows);
      return true;
    };
    co_await net::RunOn(pool_, work);
    co_return Ok();
  }
  bool IsReadOnly() const override { return engine_.IsReadOnly(); }

 private:
  /// Rows that several threads take piece by piece.
  class Packet {
   public:
    explicit Packet(ByteBuffer bytes) : bytes_(std::move(bytes)), left_(bytes_) {}

    /// The next rows; none when all are taken or some could not be. Errors: a broken row, the last one.
    Status Take(std::vector<model::MetricRow>& rows) {
      MutexLock lock(mutex_);
      rows.clear();
      if (!failure_.ok()) return Ok();
      Status status = model::TakeMetricRows(left_, kMaxRowsAtOnce, rows);
      if (!status.ok()) left_ = {};
      return status;
    }
    void Fail(Error error) {
      MutexLock lock(mutex_);
      if (failure_.ok()) failure_ = std::move(error);
    }
    Status TakeStatus() {
      MutexLock lock(mutex_);
      return std::move(failure_);
    }

   private:
    const ByteBuffer bytes_;
    Mutex mutex_;
    ByteView left_ VM_GUARDED_BY(mutex_);
    Status failure_ VM_GUARDED_BY(mutex_) = Ok();
  };

  /// Broken rows are counted; a failure of the packet means that the engine could not take the others.
  void AddRows(Packet& packet) {
    std::vector<model::MetricRow> rows;
    rows.reserve(kMaxRowsAtOnce);
    while (true) {
      const Status status = packet.Take(rows);
      if (!status.ok()) {
        metrics_.rows.parse_errors.Inc();
        VM_LOG_ERROR("cannot unmarshal rows from vminsert: {}", status.error().message());
      }
      if (rows.empty()) return;
      rows_read_.Add(rows.size());
      rows_parsed_.Add(rows.size());
      if (Status added = engine_.AddRows(rows); !added.ok()) return packet.Fail(std::move(added).error());
    }
  }
  void AddMetadata(ByteView packet) {
    std::vector<model::MetadataRow> rows;
    while (!packet.empty()) {
      auto row = model::TakeMetadataRow(packet);
      if (!row.ok()) {
        metrics_.metadata.parse_errors.Inc();
        VM_LOG_ERROR("cannot unmarshal metadata from vminsert: {}", row.error().message());
        break;
      }
      rows.push_back(std::move(row).value());
    }
    metadata_read_.Add(rows.size());
    metadata_parsed_.Add(rows.size());
    engine_.AddMetadata(rows);
  }

  static constexpr std::chrono::milliseconds kRoomCheckInterval{50};
  /// Rows that the engine gets at once.
  static constexpr size_t kMaxRowsAtOnce = 2048;
  static constexpr size_t kMinBytesPerWorker = 256 << 10;

  Engine& engine_;
  net::Pool& pool_;
  rpc::InsertServerMetrics& metrics_;
  metrics::Counter& rows_read_;
  metrics::Counter& metadata_read_;
  metrics::Counter& waits_for_room_;
  metrics::Counter& rows_parsed_;
  metrics::Counter& metadata_parsed_;
  const std::stop_token stop_;
};

/// A stream that somebody else can close: sessions own this one, the server keeps `inner`.
class SharedStream final : public net::Stream {
 public:
  explicit SharedStream(std::shared_ptr<net::Stream> inner) : inner_(std::move(inner)) {}
  net::asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override {
    return inner_->Read(dst);
  }
  net::asio::awaitable<Status> Write(ByteView src) override { return inner_->Write(src); }
  void SetDeadline(const Deadline& deadline) override { inner_->SetDeadline(deadline); }
  void Close() override { inner_->Close(); }
  net::asio::any_io_executor executor() override { return inner_->executor(); }
  std::string remote_addr() const override { return inner_->remote_addr(); }
  std::string local_addr() const override { return inner_->local_addr(); }

 private:
  const std::shared_ptr<net::Stream> inner_;
};

/// Counts and logs searches that failed because of what is on disk: the peer is told, but the disk is here. Thread-safe.
class ReadErrors {
 public:
  explicit ReadErrors(metrics::Registry& registry) : count_(registry.GetCounter("vm_search_read_errors_total")) {}

  void Note(const Error& error) {
    if (error.code() != ErrorCode::kCorrupted && error.code() != ErrorCode::kIo) return;
    count_.Inc();
    using namespace std::chrono;
    const int64_t now = duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
    int64_t last = logged_ms_.load(std::memory_order_relaxed);
    if (last != INT64_MIN && now - last < kLogIntervalMs) return;
    if (!logged_ms_.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
    VM_LOG_ERROR("a search failed, {} so far: {}", count_.Get(), error.message());
  }
  template <class T>
  Result<T> Noted(Result<T> result) {
    if (!result.ok()) Note(result.error());
    return result;
  }

 private:
  static constexpr int64_t kLogIntervalMs = 5000;

  metrics::Counter& count_;
  std::atomic<int64_t> logged_ms_{INT64_MIN};
};

/// A cursor whose errors are noted.
class NotingCursor final : public rpc::BlockCursor {
 public:
  NotingCursor(std::unique_ptr<rpc::BlockCursor> inner, ReadErrors& errors)
      : inner_(std::move(inner)), errors_(errors) {}
  Result<bool> Next() override { return errors_.Noted(inner_->Next()); }
  ByteView metric_name() const override { return inner_->metric_name(); }
  const model::EncodedBlock& block() const override { return inner_->block(); }

 private:
  const std::unique_ptr<rpc::BlockCursor> inner_;
  ReadErrors& errors_;
};

class EngineHandler final : public rpc::SelectHandler {
 public:
  EngineHandler(Engine& engine, const ServerOptions& options, metrics::Registry& registry)
      : engine_(engine),
        errors_(registry),
        max_tag_keys_(options.max_tag_keys),
        max_tag_values_(options.max_tag_values),
        max_suffixes_(options.max_tag_value_suffixes) {}

  Result<std::unique_ptr<rpc::BlockCursor>> Search(const model::SearchQuery& query,
                                                   const Deadline& deadline) override {
    VM_ASSIGN_OR_RETURN(auto cursor, errors_.Noted(engine_.StartSearch(query, deadline)));
    return std::unique_ptr<rpc::BlockCursor>(new NotingCursor(std::move(cursor), errors_));
  }
  Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery& query,
                                                    const Deadline& deadline) override {
    return errors_.Noted(engine_.SearchMetricNames(query, deadline));
  }
  Result<std::vector<std::string>> SearchLabelNames(const model::SearchQuery& query, size_t max_names,
                                                    const Deadline& deadline) override {
    return errors_.Noted(engine_.SearchLabelNames(query, Limit(max_names, max_tag_keys_), deadline));
  }
  Result<std::vector<std::string>> SearchLabelValues(const model::SearchQuery& query, std::string_view label_name,
                                                     size_t max_values, const Deadline& deadline) override {
    return errors_.Noted(engine_.SearchLabelValues(query, label_name, Limit(max_values, max_tag_values_), deadline));
  }
  Result<std::vector<std::string>> SearchTagValueSuffixes(const rpc::TagValueSuffixesRequest& request,
                                                          const Deadline& deadline) override {
    const size_t limit = Limit(request.max_suffixes, max_suffixes_);
    VM_ASSIGN_OR_RETURN(auto suffixes,
                        errors_.Noted(engine_.SearchTagValueSuffixes(
                            request.tenant, request.time_range, request.tag_key, request.tag_value_prefix,
                            request.delimiter, limit, deadline)));
    if (suffixes.size() >= limit) {
      return Error(ErrorCode::kLimitExceeded,
                   fmt::format("more than -search.maxTagValueSuffixesPerSearch={} suffixes returned; either narrow "
                               "down the search or increase -search.maxTagValueSuffixesPerSearch command-line flag "
                               "value",
                               limit));
    }
    return suffixes;
  }
  Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline& deadline) override {
    return errors_.Noted(engine_.SeriesCount(tenant, deadline));
  }
  Result<model::TsdbStatus> GetTsdbStatus(const rpc::TsdbStatusRequest& request, const Deadline& deadline) override {
    return errors_.Noted(engine_.GetTsdbStatus(request.query, request.focus_label, request.top_n, deadline));
  }
  Result<uint64_t> DeleteSeries(const model::SearchQuery& query, const Deadline& deadline) override {
    return errors_.Noted(engine_.DeleteSeries(query, deadline));
  }
  Status RegisterMetricNames(std::span<const model::MetricRow> names, const Deadline&) override {
    return errors_.Noted(engine_.RegisterMetricNames(names));
  }
  Result<std::vector<model::Tenant>> SearchTenants(const model::TimeRange& range, const Deadline& deadline) override {
    return errors_.Noted(engine_.SearchTenants(range, deadline));
  }
  Result<model::MetricNamesUsageStats> GetMetricNamesUsageStats(const rpc::MetricNamesUsageStatsRequest& request,
                                                                const Deadline&) override {
    return engine_.GetMetricNamesUsageStats(request.tenant, request.limit, request.le, request.match_pattern);
  }
  Status ResetMetricNamesStats(const Deadline&) override {
    engine_.ResetMetricNamesStats();
    return Ok();
  }
  Result<std::vector<model::MetadataRow>> SearchMetadata(const model::Tenant* tenant, size_t limit,
                                                         std::string_view metric_name, const Deadline&) override {
    return engine_.SearchMetadata(tenant, limit, metric_name);
  }

 private:
  static size_t Limit(size_t requested, size_t limit) {
    return requested == 0 || requested > limit ? limit : requested;
  }

  Engine& engine_;
  ReadErrors errors_;
  const size_t max_tag_keys_;
  const size_t max_tag_values_;
  const size_t max_suffixes_;
};

/// How many requests run at once.
size_t SearchSlots(const ServerOptions& options) {
  return options.max_concurrent_requests > 0 ? options.max_concurrent_requests : 2 * sys::AvailableCpus();
}

}  // namespace

struct StorageServer::Impl {
  Impl(net::Runtime& runtime, Engine& engine, ServerOptions options)
      : runtime(runtime),
        engine(engine),
        options(std::move(options)),
        ingest_pool("ingest", this->options.ingest_threads > 0 ? this->options.ingest_threads
                                                               : sys::AvailableCpus()),
        // A slot that waits for its peer needs no thread; those that read parts may wait for the disk. One more, so that
        // somebody listens while all others search.
        search_runtime(std::min(SearchSlots(this->options), 2 * sys::AvailableCpus()) + 1, net::Threads::kComputeToo),
        background_pool("background", 2),
        force_merge_pool("force merge", 1),
        large_bodies(std::max<size_t>(1, this->options.allowed_memory_bytes / 4 / rpc::kMaxInsertBodySize)),
        insert_slots(this->options.max_concurrent_inserts > 0 ? this->options.max_concurrent_inserts
                                                              : 2 * sys::AvailableCpus()),
        registry(this->options.registry != nullptr ? *this->options.registry : own_registry),
        insert_metrics(registry),
        sink(engine, ingest_pool, registry, insert_metrics, insert_stop.get_token()),
        handler(engine, this->options, registry),
        select_server(handler, SelectOptions()),
        http(engine, background_pool, force_merge_pool, &registry) {
    registry.SetGaugeCallback("vm_concurrent_insert_capacity",
                              [this] { return static_cast<double>(insert_slots.capacity()); });
    registry.SetGaugeCallback("vm_concurrent_insert_current",
                              [this] { return static_cast<double>(insert_slots.used()); });
  }
  ~Impl() {
    registry.RemoveGaugeCallback("vm_concurrent_insert_capacity");
    registry.RemoveGaugeCallback("vm_concurrent_insert_current");
  }

  rpc::SelectServerOptions SelectOptions() const {
    rpc::SelectServerOptions select;
    select.addr = options.vmselect_addr;
    select.handshake_timeout = options.handshake_timeout;
    select.disable_compression = options.disable_rpc_compression;
    select.deny_query_tracing = options.deny_query_tracing;
    select.version = options.version;
    select.max_concurrent_requests = SearchSlots(options);
    select.max_queue_duration = options.max_queue_duration;
    select.registry = &registry;
    select.stop = select_stop.get_token();
    return select;
  }

  net::asio::awaitable<void> AcceptLoop(net::Listener& listener, bool insert) {
    for (;;) {
      auto accepted = co_await listener.Accept();
      if (!accepted.ok()) {
        if (accepted.error().code() == ErrorCode::kCancelled) co_return;
        VM_LOG_ERROR("cannot accept a connection at {}: {}", listener.addr(),
                     accepted.error().message());
        co_await net::SleepFor(std::chrono::milliseconds(100));
        continue;
      }
      std::shared_ptr<net::Stream> stream = std::move(accepted).value();
      const auto executor = stream->executor();
      tasks.Spawn(executor, Serve(std::move(stream), insert));
    }
  }

  net::asio::awaitable<void> Serve(std::shared_ptr<net::Stream> inner, bool insert) {
    {
      MutexLock lock(mutex);
      if (stopping) co_return;
      (insert ? insert_connections : select_connections).insert(inner);
    }
    std::unique_ptr<net::Stream> stream = std::make_unique<SharedStream>(inner);
    if (insert) {
      rpc::InsertServerOptions insert_options;
      insert_options.pool = &ingest_pool;
      insert_options.slots = &insert_slots;
      insert_options.large_bodies = &large_bodies;
      insert_options.max_queue_duration = options.insert_max_queue_duration;
      insert_options.metrics = &insert_metrics;
      insert_options.stop = insert_stop.get_token();
      insert_options.handshake_timeout = options.handshake_timeout;
      co_await rpc::ServeInsert(std::move(stream), sink, insert_options);
    } else {
      co_await select_server.Serve(std::move(stream));
    }
    MutexLock lock(mutex);
    (insert ? insert_connections : select_connections).erase(inner);
  }

  net::Runtime& runtime;
  Engine& engine;
  const ServerOptions options;
  net::Pool ingest_pool;
  /// Connections of the select port live here, and what they ask for is searched on the same threads: a search begins
  /// and is answered without waking up another one.
  net::Runtime search_runtime;
  net::Pool background_pool;
  net::Pool force_merge_pool;
  std::stop_source insert_stop;  // Ends waiting packets.
  std::stop_source select_stop;  // Ends running requests.
  rpc::Slots large_bodies;  // A quarter of the memory at most.
  rpc::Slots insert_slots;
  metrics::Registry own_registry;  // When none was given.
  metrics::Registry& registry;
  rpc::InsertServerMetrics insert_metrics;
  EngineSink sink;
  EngineHandler handler;
  rpc::SelectServer select_server;
  HttpHandler http;
  std::unique_ptr<net::Listener> insert_listener;
  std::unique_ptr<net::Listener> select_listener;
  net::TaskGroup accept_tasks{"storage accept"};
  net::TaskGroup tasks{"storage connections"};
  Mutex mutex;
  std::set<std::shared_ptr<net::Stream>> insert_connections VM_GUARDED_BY(mutex);
  std::set<std::shared_ptr<net::Stream>> select_connections VM_GUARDED_BY(mutex);
  bool stopping VM_GUARDED_BY(mutex) = false;
};

Result<std::unique_ptr<StorageServer>> StorageServer::Start(net::Runtime& runtime, Engine& engine,
                                                            ServerOptions options) {
  auto impl = std::make_unique<Impl>(runtime, engine, std::move(options));
  VM_ASSIGN_OR_RETURN(impl->insert_listener, net::Listener::Open(runtime.executor(),
                                                                 impl->options.vminsert_addr));
  VM_ASSIGN_OR_RETURN(impl->select_listener, net::Listener::Open(impl->search_runtime.executor(),
                                                                 impl->options.vmselect_addr));
  const auto count = [&](net::Listener& listener, std::string_view name, const std::string& addr) {
    listener.SetMetrics(
        std::make_shared<net::StreamMetrics>(impl->registry, net::StreamMetrics::Side::kListener, name, addr));
  };
  count(*impl->insert_listener, "vminsert", impl->options.vminsert_addr);
  count(*impl->select_listener, "vmselect", impl->options.vmselect_addr);
  impl->accept_tasks.Spawn(runtime.MakeStrand(), impl->AcceptLoop(*impl->insert_listener, true));
  impl->accept_tasks.Spawn(impl->search_runtime.MakeStrand(), impl->AcceptLoop(*impl->select_listener, false));
  return std::unique_ptr<StorageServer>(new StorageServer(std::move(impl)));
}

StorageServer::StorageServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StorageServer::~StorageServer() { Stop(); }

std::string StorageServer::vminsert_addr() const { return impl_->insert_listener->addr(); }
std::string StorageServer::vmselect_addr() const { return impl_->select_listener->addr(); }

net::asio::awaitable<bool> StorageServer::HandleHttp(http::Request& request, http::Response& response) {
  return impl_->http.Handle(request, response);
}

namespace {

/// Close one peer's connections after the other's, so that the rows of all do not move to other nodes at once.
void CloseByPeer(const std::set<std::shared_ptr<net::Stream>>& connections, std::chrono::milliseconds duration) {
  std::map<std::string, std::vector<std::shared_ptr<net::Stream>>> by_peer;
  for (const auto& connection : connections) {
    const std::string addr = connection->remote_addr();
    by_peer[addr.substr(0, addr.rfind(':'))].push_back(connection);
  }
  std::chrono::milliseconds pause{0};
  if (by_peer.size() > 1) pause = duration / static_cast<int64_t>(by_peer.size() - 1);
  if (pause.count() > 0) {
    VM_LOG_INFO("closing {} vminsert connections with {}ms interval between them", by_peer.size(), pause.count());
  }
  bool first = true;
  for (const auto& [peer, streams] : by_peer) {
    if (!first) std::this_thread::sleep_for(pause);
    first = false;
    for (const auto& stream : streams) stream->Close();
  }
}

}  // namespace

void StorageServer::Stop() {
  std::set<std::shared_ptr<net::Stream>> insert_connections, select_connections;
  {
    MutexLock lock(impl_->mutex);
    if (impl_->stopping) return;
    impl_->stopping = true;
    insert_connections = impl_->insert_connections;
    select_connections = impl_->select_connections;
  }
  impl_->select_stop.request_stop();
  impl_->engine.StopMerges();  // A forced merge runs on the background pool, which is waited for.
  impl_->select_listener->Close();
  for (const auto& connection : select_connections) connection->Close();
  impl_->insert_listener->Close();
  impl_->accept_tasks.Wait();
  CloseByPeer(insert_connections, impl_->options.insert_shutdown_duration);
  impl_->insert_stop.request_stop();
  impl_->tasks.Wait();
}

}  // namespace vm::storage
