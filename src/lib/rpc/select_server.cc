#include "lib/rpc/select_server.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/log/log.h"
#include "lib/net/end_on_exception.h"
#include "lib/net/event.h"
#include "lib/net/handshake.h"
#include "lib/net/stream_errors.h"
#include "lib/rpc/frame.h"
#include "lib/rpc/frame_io.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/select_codec.h"

namespace vm::rpc {
namespace {

using net::asio::awaitable;

constexpr std::array kHellos = {net::kHelloSelect};
// Once a call name is there, the rest of the request must follow.
constexpr auto kRequestTime = std::chrono::seconds(5);
// Blocks leave in pieces of about this size.
constexpr size_t kSendSize = 256 << 10;

awaitable<Status> ReadFixed(net::FramedStream& stream, ByteBuffer& dst, size_t size) {
  const size_t at = dst.size();
  dst.resize(at + size);
  const std::span<uint8_t> room(dst.data() + at, size);
  co_return co_await stream.ReadFull(room);
}

awaitable<Status> ReadNamesAndTimes(net::FramedStream& stream, size_t max_name_size, ByteBuffer& dst) {
  const size_t at = dst.size();
  VM_CO_TRY(co_await ReadFixed(stream, dst, 8));
  const uint64_t count = LoadBigEndian<uint64_t>(dst.data() + at);
  if (count > kMaxNamesPerRegistration) {
    co_return Error(ErrorCode::kLimitExceeded,
                    fmt::format("too many metric names in a single request; got {}; mustn't exceed {}",
                                count, kMaxNamesPerRegistration));
  }
  ByteBuffer frame;
  for (uint64_t i = 0; i < count; ++i) {
    VM_CO_TRY(co_await ReadFrame(stream, frame, max_name_size));
    if (dst.size() + frame.size() > kMaxRegistrationSize) {
      co_return Error(ErrorCode::kLimitExceeded,
                      fmt::format("too big request: metric names exceed {} bytes", kMaxRegistrationSize));
    }
    AppendFrame(dst, frame);
    VM_CO_TRY(co_await ReadFixed(stream, dst, 8));
  }
  co_return Ok();
}

awaitable<Status> ReadArgs(net::FramedStream& stream, const SelectMethod& method, ByteBuffer& dst) {
  ByteBuffer frame;
  for (const ArgField& field : method.args) {
    switch (field.kind) {
      case ArgField::Kind::kFixed:
        VM_CO_TRY(co_await ReadFixed(stream, dst, field.size));
        break;
      case ArgField::Kind::kOptionalTenant:
        VM_CO_TRY(co_await ReadFixed(stream, dst, 1));
        if (dst.back() != 0) VM_CO_TRY(co_await ReadFixed(stream, dst, field.size));
        break;
      case ArgField::Kind::kFrame:
        VM_CO_TRY(co_await ReadFrame(stream, frame, field.size));
        AppendFrame(dst, frame);
        break;
      case ArgField::Kind::kNamesAndTimes:
        VM_CO_TRY(co_await ReadNamesAndTimes(stream, field.size, dst));
        break;
    }
  }
  co_return Ok();
}

awaitable<Status> WriteAndFlush(net::FramedStream& stream, ByteView bytes) {
  VM_CO_TRY(co_await stream.Write(bytes));
  co_return co_await stream.Flush();
}

// Peers that went away are nobody's fault.
bool IsPeerGone(const Error& error) {
  return error.code() == ErrorCode::kUnavailable && !net::IsTimeout(error) && !net::IsUnexpectedEof(error);
}

bool IsLoopback(std::string_view addr) {
  return addr.starts_with("127.") || addr.starts_with("[::1]:") || addr.starts_with("[::ffff:127.");
}

// Fills the answers of all calls but searches.
struct Filler {
  SelectHandler& handler;
  const Deadline& deadline;
  SelectReply& answer;

  template <class List>
  Status AddAll(Result<List> found) {
    if (!found.ok()) return std::move(found).error();
    for (const auto& item : found.value()) answer.AddItem(AsBytesOf(item));
    return Ok();
  }
  static ByteView AsBytesOf(const std::string& text) { return AsBytes(text); }
  static ByteView AsBytesOf(const ByteBuffer& bytes) { return bytes; }

  Status operator()(const SearchRequest&) { return Ok(); }
  Status operator()(const SearchMetricNamesRequest& r) {
    return AddAll(handler.SearchMetricNames(r.query, deadline));
  }
  Status operator()(const LabelNamesRequest& r) {
    return AddAll(handler.SearchLabelNames(r.query, r.max_names, deadline));
  }
  Status operator()(const LabelValuesRequest& r) {
    return AddAll(handler.SearchLabelValues(r.query, r.label_name, r.max_values, deadline));
  }
  Status operator()(const SeriesCountRequest& r) {
    VM_ASSIGN_OR_RETURN(answer.number, handler.SeriesCount(r.tenant, deadline));
    return Ok();
  }
  Status operator()(const SearchMetadataRequest& r) {
    VM_ASSIGN_OR_RETURN(const auto found,
                        handler.SearchMetadata(r.tenant ? &*r.tenant : nullptr, r.limit,
                                               r.metric_name, deadline));
    ByteBuffer packed;
    for (const auto& row : found) {
      packed.clear();
      model::AppendMetadataRow(packed, row);
      answer.AddItem(packed);
    }
    return Ok();
  }
  Status operator()(const TagValueSuffixesRequest& r) {
    return AddAll(handler.SearchTagValueSuffixes(r, deadline));
  }
  Status operator()(const TsdbStatusRequest& r) {
    VM_ASSIGN_OR_RETURN(const model::TsdbStatus status, handler.GetTsdbStatus(r, deadline));
    ByteBuffer packed;
    MarshalTsdbStatus(packed, status);
    answer.AddItem(packed);
    return Ok();
  }
  Status operator()(const DeleteSeriesRequest& r) {
    VM_ASSIGN_OR_RETURN(answer.number, handler.DeleteSeries(r.query, deadline));
    return Ok();
  }
  Status operator()(const RegisterMetricNamesRequest& r) {
    std::vector<model::MetricRow> rows;
    rows.reserve(r.names.size());
    for (const auto& name : r.names) rows.push_back({name.metric_name_raw, name.timestamp, 0});
    return handler.RegisterMetricNames(rows, deadline);
  }
  Status operator()(const TenantsRequest& r) {
    VM_ASSIGN_OR_RETURN(const auto tenants, handler.SearchTenants(r.time_range, deadline));
    for (const model::Tenant& tenant : tenants) {
      answer.AddItem(AsBytes(fmt::format("{}:{}", tenant.account_id, tenant.project_id)));
    }
    return Ok();
  }
  Status operator()(const MetricNamesUsageStatsRequest& r) {
    VM_ASSIGN_OR_RETURN(const auto stats, handler.GetMetricNamesUsageStats(r, deadline));
    ByteBuffer packed;
    MarshalMetricNamesUsageStats(packed, stats);
    answer.AddItem(packed);
    return Ok();
  }
  Status operator()(const ResetMetricNamesStatsRequest&) {
    return handler.ResetMetricNamesStats(deadline);
  }
};

}  // namespace

SelectServer::SelectServer(SelectHandler& handler, SelectServerOptions options)
    : SelectServer(&handler, nullptr, std::move(options)) {}

SelectServer::SelectServer(SelectRelay& relay, SelectServerOptions options) : SelectServer(nullptr, &relay, std::move(options)) {}

SelectServer::SelectServer(SelectHandler* handler, SelectRelay* relay, SelectServerOptions options)
    : handler_(handler),
      relay_(relay),
      options_(std::move(options)),
      registry_(options_.registry != nullptr ? *options_.registry : own_registry_),
      slots_(std::max<size_t>(options_.max_concurrent_requests, 1)),
      connection_errors_(Counter("vm_vmselect_conn_errors_total")),
      limit_reached_(Counter("vm_vmselect_concurrent_requests_limit_reached_total")),
      limit_timeout_(Counter("vm_vmselect_concurrent_requests_limit_timeout_total")),
      blocks_sent_(Counter("vm_vmselect_metric_blocks_read_total")) {
  size_t index = 0;
  for (const SelectMethod& method : SelectMethods()) {
    requests_[index++] = &Counter("vm_vmselect_rpc_requests_total",
                                  fmt::format("action=\"{}\",", method.action));
  }
  registry_.SetGaugeCallback(fmt::format("vm_vmselect_conns{{addr=\"{}\"}}", options_.addr), [this] {
    return static_cast<double>(connections_.load(std::memory_order_relaxed));
  });
  registry_.SetGaugeCallback("vm_vmselect_concurrent_requests_capacity",
                             [this] { return static_cast<double>(slots_.capacity()); });
  registry_.SetGaugeCallback("vm_vmselect_concurrent_requests_current",
                             [this] { return static_cast<double>(slots_.used()); });
}

SelectServer::~SelectServer() {
  registry_.RemoveGaugeCallback(fmt::format("vm_vmselect_conns{{addr=\"{}\"}}", options_.addr));
  registry_.RemoveGaugeCallback("vm_vmselect_concurrent_requests_capacity");
  registry_.RemoveGaugeCallback("vm_vmselect_concurrent_requests_current");
}

metrics::Counter& SelectServer::Counter(std::string_view name, std::string_view more_labels) {
  return registry_.GetCounter(fmt::format("{}{{{}addr=\"{}\"}}", name, more_labels, options_.addr));
}

// Hears of a peer that leaves while it is answered. Strand only. Nothing else reads meanwhile: it has asked already, and
// may ask again only when it has got its answer.
struct SelectServer::Watch {
  explicit Watch(std::shared_ptr<net::FramedStream> s) : stream(std::move(s)) {}

  static awaitable<void> Run(std::shared_ptr<Watch> watch) {
    const auto more = co_await watch->stream->ReadAhead();
    if (!more.ok() || !more.value()) watch->gone.request_stop();
    watch->is_reading = false;
    watch->ended.Set();
  }
  static void Start(std::shared_ptr<Watch> watch) {
    if (watch->is_reading) return;
    watch->is_reading = true;
    const auto executor = watch->stream->executor();
    net::asio::co_spawn(executor, Run(std::move(watch)),
                        [](const std::exception_ptr& failure) { net::EndOnException(failure, "watch of a select connection"); });
  }
  /// Until somebody may read again. The end of an earlier read may be told once more, hence the loop.
  awaitable<void> WaitForEnd() {
    while (is_reading) co_await ended.Wait();
  }

  const std::shared_ptr<net::FramedStream> stream;
  bool is_reading = false;
  net::Event ended;
  std::stop_source gone;  // Also when the server stops.
};

// The calls of one connection, one after the other.
class SelectServer::Session {
 public:
  Session(SelectServer& server, std::shared_ptr<Watch> watch) : server_(server), watch_(std::move(watch)), stream_(*watch_->stream) {}

  awaitable<Status> ServeCalls() {
    for (;;) {
      co_await watch_->WaitForEnd();
      ByteBuffer name;
      auto more = co_await ReadFrameOrEof(stream_, name, kMaxRpcNameSize);
      if (!more.ok()) co_return std::move(more).error();
      if (!more.value()) co_return Ok();
      stream_.SetDeadline(Deadline::After(kRequestTime));
      head_.rpc_name = AsText(name);
      const SelectMethod* method = FindSelectMethod(head_.rpc_name);
      if (method == nullptr) {
        co_return Error(ErrorCode::kInvalidInput,
                        fmt::format("unsupported rpcName: \"{}\"", head_.rpc_name));
      }
      ByteBuffer fixed;
      VM_CO_TRY(co_await ReadFixed(stream_, fixed, 5));
      head_.trace_enabled = fixed[0] != 0;
      head_.timeout_seconds = LoadBigEndian<uint32_t>(fixed.data() + 1);
      started_at_ = std::chrono::steady_clock::now();
      deadline_ = Deadline::After(std::chrono::seconds(head_.timeout_seconds),
                                  server_.relay_ != nullptr ? watch_->gone.get_token() : server_.options_.stop);
      steps_.clear();
      ByteBuffer packed_args;
      VM_CO_TRY(co_await ReadArgs(stream_, *method, packed_args));
      auto args = UnmarshalSelectArgs(*method, packed_args);
      if (!args.ok()) co_return std::move(args).error();
      server_.requests_[args.value().index()]->Inc();
      // Answers may take as long as the peer reads.
      stream_.SetDeadline(Deadline());
      auto answered = co_await Answer(*method, std::move(args.value()));
      if (server_.relay_ != nullptr && watch_->gone.stop_requested()) co_return Ok();
      VM_CO_TRY(std::move(answered));
    }
  }

 private:
  awaitable<Status> Answer(const SelectMethod& method, SelectArgs args) {
    SlotHolder slot;
    if (!server_.slots_.TryAcquire()) {
      server_.limit_reached_.Inc();
      const auto wait = std::min<std::chrono::milliseconds>(
          std::chrono::seconds(head_.timeout_seconds), server_.options_.max_queue_duration);
      const bool acquired = co_await server_.slots_.Acquire(wait);
      if (!acquired) {
        server_.limit_timeout_.Inc();
        co_return co_await Refuse(method, QueueError(wait));
      }
    }
    slot.Hold(server_.slots_);
    if (server_.relay_ != nullptr) {
      Watch::Start(watch_);
      co_return co_await Relay(method, std::move(args));
    }
    const auto* search = std::get_if<SearchRequest>(&args);
    if (search != nullptr) co_return co_await Search(*search);

    SelectReply answer;
    const auto status = std::visit(Filler{*server_.handler_, deadline_, answer}, args);
    if (!status.ok()) co_return co_await Refuse(method, TextOf(status.error()));
    answer.trace = Trace();
    ByteBuffer reply;
    AppendSelectReply(reply, method.payload, answer);
    co_return co_await WriteAndFlush(stream_, reply);
  }

  awaitable<Status> Relay(const SelectMethod& method, SelectArgs args) {
    RelayCall call{deadline_, IsTraced() ? &steps_ : nullptr};
    if (auto* search = std::get_if<SearchRequest>(&args)) {
      Outgoing blocks(*this);
      const auto status = co_await server_.relay_->Search(std::move(search->query), std::move(call), blocks);
      if (!status.ok() && !blocks.has_sent()) co_return co_await Refuse(method, TextOf(status.error()));
      VM_CO_TRY(status);
      co_return co_await blocks.Finish();
    }
    SelectReply answer;
    const auto status = co_await server_.relay_->Answer(std::move(args), std::move(call), answer);
    if (!status.ok()) co_return co_await Refuse(method, TextOf(status.error()));
    answer.trace = Trace();
    ByteBuffer reply;
    AppendSelectReply(reply, method.payload, answer);
    co_return co_await WriteAndFlush(stream_, reply);
  }

  // The reply of a relayed search. The empty error text is held back until the first blocks leave: it says that all is well.
  class Outgoing : public RelayedBlocks {
   public:
    explicit Outgoing(Session& session) : session_(session) {}

    void Add(ByteView metric_block) override {
      if (!has_sent_ && bytes_.empty()) AppendErrorText(bytes_, "");
      AppendFrame(bytes_, metric_block);
      session_.server_.blocks_sent_.Inc();
    }
    awaitable<Status> Send() override {
      has_sent_ = true;
      auto status = co_await WriteAndFlush(session_.stream_, bytes_);
      bytes_.clear();
      co_return status;
    }
    awaitable<Status> Finish() {
      if (!has_sent_ && bytes_.empty()) AppendErrorText(bytes_, "");
      AppendFrame(bytes_, ByteView());
      AppendFrame(bytes_, AsBytes(session_.Trace()));
      return Send();
    }
    bool has_sent() const { return has_sent_; }

   private:
    Session& session_;
    ByteBuffer bytes_;
    bool has_sent_ = false;
  };

  awaitable<Status> Refuse(const SelectMethod& method, std::string text) {
    if (method.payload == PayloadKind::kTraceOnly) {
      // There is no place for a text: it would be taken for the trace.
      co_return Error(ErrorCode::kUnavailable, std::move(text));
    }
    SelectReply answer;
    answer.error = std::move(text);
    answer.trace = Trace();
    ByteBuffer reply;
    AppendSelectReply(reply, method.payload, answer);
    co_return co_await WriteAndFlush(stream_, reply);
  }

  // Blocks are read in batches; between them the peer may take its time.
  awaitable<Status> Search(const SearchRequest& request) {
    std::unique_ptr<BlockCursor> cursor;
    ByteBuffer out, packed;
    bool started = false, done = false;
    const auto read_batch = [&]() -> Status {
      if (cursor == nullptr) {
        VM_ASSIGN_OR_RETURN(cursor, server_.handler_->Search(request.query, deadline_));
        AppendErrorText(out, "");
        started = true;
      }
      while (out.size() < kSendSize) {
        VM_ASSIGN_OR_RETURN(const bool more, cursor->Next());
        if (!more) {
          AppendFrame(out, ByteView());
          done = true;
          cursor.reset();
          return Ok();
        }
        packed.clear();
        model::MarshalMetricBlock(packed, model::MetricBlock{cursor->metric_name(), cursor->block()});
        AppendFrame(out, packed);
        server_.blocks_sent_.Inc();
      }
      return Ok();
    };
    Status status = Ok();
    while (!done) {
      out.clear();
      status = read_batch();
      if (!status.ok()) break;
      if (done) AppendFrame(out, AsBytes(Trace()));
      status = co_await WriteAndFlush(stream_, out);
      if (!status.ok()) break;
    }
    cursor.reset();  // Parts that were dropped meanwhile go with it.
    if (status.ok() || started) co_return status;
    SelectReply answer;
    answer.error = TextOf(status.error());
    answer.trace = Trace();
    out.clear();
    AppendSelectReply(out, PayloadKind::kList, answer);
    co_return co_await WriteAndFlush(stream_, out);
  }

  std::string TextOf(const Error& error) const {
    if (error.code() == ErrorCode::kCancelled && deadline_.Expired()) {
      return fmt::format("cannot execute request in {} seconds: {}", head_.timeout_seconds,
                         error.message());
    }
    return error.message().empty() ? "unknown error" : error.message();
  }

  std::string QueueError(std::chrono::milliseconds wait) const {
    const SelectServerOptions& options = server_.options_;
    return fmt::format(
        "couldn't start executing the request in {:.3f} seconds, since -{}={} concurrent requests are already "
        "executed. Possible solutions: to reduce the query load; to add more compute resources to the server; to "
        "increase -{}={}; to increase -{}",
        static_cast<double>(wait.count()) / 1e3, options.max_concurrent_requests_flag,
        options.max_concurrent_requests, options.max_queue_duration_flag,
        DurationText(options.max_queue_duration), options.max_concurrent_requests_flag);
  }

  // As Go prints durations: "10s", "1.5s", "1m0s".
  static std::string DurationText(std::chrono::milliseconds duration) {
    const int64_t ms = duration.count();
    if (ms < 1000) return fmt::format("{}ms", ms);
    const int64_t seconds = ms / 1000;
    std::string text;
    if (seconds >= 3600) text += fmt::format("{}h", seconds / 3600);
    if (seconds >= 60) text += fmt::format("{}m", seconds / 60 % 60);
    const int64_t rest = ms % 60000;
    if (rest % 1000 == 0) return text + fmt::format("{}s", rest / 1000);
    return text + fmt::format("{}s", static_cast<double>(rest) / 1e3);
  }

  bool IsTraced() const { return head_.trace_enabled && !server_.options_.deny_query_tracing; }

  std::string Trace() const {
    if (!IsTraced()) return "";
    const auto took = std::chrono::steady_clock::now() - started_at_;
    // A client takes no longer ones.
    const bool has_steps = !steps_.empty() && steps_.size() < kMaxTraceSize - 1024;
    const nlohmann::json message =
        fmt::format("{}: rpc call {}() at vmstorage", server_.options_.version, head_.rpc_name);
    return fmt::format("{{\"duration_msec\":{:.3f},\"message\":{}{}{}}}", std::chrono::duration<double, std::milli>(took).count(),
                       message.dump(), has_steps ? ",\"children\":" : "", has_steps ? steps_ : "");
  }

  SelectServer& server_;
  const std::shared_ptr<Watch> watch_;
  net::FramedStream& stream_;
  RequestHead head_;
  Deadline deadline_;
  std::chrono::steady_clock::time_point started_at_;
  std::string steps_;  // Of the trace: what the relay did.
};

awaitable<void> SelectServer::Serve(std::unique_ptr<net::Stream> stream) {
  struct Count {
    std::atomic<int64_t>& connections;
    explicit Count(std::atomic<int64_t>& c) : connections(c) { connections.fetch_add(1); }
    ~Count() { connections.fetch_sub(1); }
  } count(connections_);
  const std::string peer = stream->remote_addr();
  const bool compresses = !options_.disable_compression && (options_.compress_to_loopback || !IsLoopback(peer));
  auto handshake = co_await net::ServerHandshake(std::move(stream), kHellos, compresses,
                                                 options_.handshake_timeout);
  if (!handshake.ok()) {
    const Error& error = handshake.error();
    if (options_.stop.stop_requested()) co_return;
    if (error.code() != ErrorCode::kUnavailable) {
      VM_LOG_ERROR("cannot perform vmselect handshake with client \"{}\": {}", peer, error.message());
    } else if (net::IsTimeout(error)) {
      VM_LOG_WARN(
          "cannot complete vmselect handshake due to network timeout error with client \"{}\": {}. If errors are "
          "transient and infrequent increase -rpc.handshakeTimeout and -vmstorageDialTimeout on client and server "
          "side. Check vmselect logs for errors",
          peer, error.message());
    } else {
      VM_LOG_WARN(
          "cannot complete vmselect handshake due to network error with client \"{}\": {}. Check vmselect logs for "
          "errors",
          peer, error.message());
    }
    co_return;
  }
  std::shared_ptr<net::FramedStream> framed = std::move(handshake.value().stream);
  if (framed == nullptr) co_return;
  const auto watch = std::make_shared<Watch>(framed);
  const auto tell_watch = [watch] { watch->gone.request_stop(); };
  const std::stop_callback on_stop(options_.stop, tell_watch);
  Session session(*this, watch);
  auto status = co_await session.ServeCalls();
  if (!status.ok() && !IsPeerGone(status.error()) && !options_.stop.stop_requested()) {
    connection_errors_.Inc();
    VM_LOG_ERROR("cannot process vmselect conn {}: cannot process vmselect request: {}", peer,
                 status.error().message());
  }
  framed->Close();
  co_await watch->WaitForEnd();
}

}  // namespace vm::rpc
