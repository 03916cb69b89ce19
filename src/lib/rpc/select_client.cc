#include "lib/rpc/select_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <map>

#include "lib/net/handshake.h"
#include "lib/net/run_on.h"
#include "lib/net/stream_metrics.h"
#include "lib/net/stream_errors.h"
#include "lib/rpc/frame.h"
#include "lib/rpc/frame_io.h"
#include "lib/rpc/insert_codec.h"

namespace vm::rpc {
namespace {

using net::asio::awaitable;

// A node gets this much longer than the query, so that it can report the timeout itself.
constexpr auto kReportTime = std::chrono::seconds(2);
constexpr auto kMaxIdleTime = std::chrono::seconds(120);
// How long calls do not wait for a node whose last dial timed out.
constexpr auto kDialPause = std::chrono::seconds(1);

// What a node is told: whole seconds, rounded up past the rest.
uint32_t TimeoutSeconds(const Deadline& deadline) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(deadline.Remaining()).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, 0xfffffffe) + 1);
}

Deadline SocketDeadline(const Deadline& deadline) {
  if (deadline.at() == Deadline::Clock::time_point::max()) return Deadline();
  return Deadline(deadline.at() + kReportTime);
}

}  // namespace

// What is counted of one node. Names are the reference's.
struct SelectClient::Figures {
  Figures(metrics::Registry& registry, const std::string& addr)
      : registry(registry),
        node(fmt::format("name=\"vmselect\", addr=\"{}\"", addr)),
        running(registry.GetGauge(fmt::format("vm_concurrent_queries{{{}}}", node))),
        blocks_read(registry.GetCounter(fmt::format("vm_metric_blocks_read_total{{{}}}", node))) {
    for (const auto& method : SelectMethods()) {
      // Calls for the usage of names are not counted.
      if (method.name.starts_with("metricNamesUsageStats") || method.name.starts_with("resetMetricNamesStats")) continue;
      const std::string_view action = method.action == "searchMetadata" ? "metricsMetadata" : method.action;
      const std::string labels = fmt::format("{{action=\"{}\", type=\"rpcClient\", {}}}", action, node);
      calls[method.action] = {&registry.GetCounter("vm_requests_total" + labels), &registry.GetCounter("vm_request_errors_total" + labels)};
    }
  }

  struct Calls {
    metrics::Counter* requests;
    metrics::Counter* errors;
  };
  metrics::Registry& registry;
  const std::string node;  // Labels.
  metrics::Gauge& running;
  metrics::Counter& blocks_read;
  std::map<std::string_view, Calls> calls;  // By SelectMethod::action.
};

// One call in the figures; without them nothing.
class SelectClient::Running {
 public:
  Running(Figures* figures, const SelectMethod& method) : figures_(figures) {
    if (figures_ == nullptr) return;
    figures_->running.Inc();
    if (const auto found = figures_->calls.find(method.action); found != figures_->calls.end()) calls_ = &found->second;
    if (calls_ != nullptr) calls_->requests->Inc();
  }
  ~Running() {
    if (figures_ != nullptr) figures_->running.Dec();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  void CountError() const {
    if (calls_ != nullptr) calls_->errors->Inc();
  }

 private:
  Figures* const figures_;
  const Figures::Calls* calls_ = nullptr;
};

// Where the items of a reply go.
struct SelectClient::ReplyReader {
  std::shared_ptr<ItemSink> sink;  // Null: into `reply`.
  SelectReply reply;
  std::optional<Error> refusal;
  bool has_passed_items = false;
  metrics::Counter* items_read = nullptr;

  Status Add(ByteView item) {
    if (items_read != nullptr) items_read->Inc();
    if (!sink) {
      reply.AddItem(item);
      return Ok();
    }
    has_passed_items = true;
    return Note(sink->Add(item));
  }
  bool IsFull() const { return sink != nullptr && sink->IsFull(); }
  awaitable<Status> WaitForRoom() { co_return Note(co_await sink->WaitForRoom()); }

 private:
  Status Note(Status taken) {
    if (!taken.ok()) refusal = taken.error();
    return taken;
  }
};

namespace {

// One item with the whole payload.
template <class Reader>
awaitable<Status> ReadTables(net::FramedStream& stream, const SelectMethod& method, Reader& reader) {
  ByteBuffer all, scratch;
  for (uint8_t i = 0; i < method.tables.numbers; ++i) {
    VM_CO_ASSIGN_OR_RETURN(const uint64_t number, co_await ReadUint64(stream));
    AppendBigEndian(all, number);
  }
  for (const uint8_t numbers : method.tables.entry_numbers) {
    VM_CO_ASSIGN_OR_RETURN(const uint64_t count, co_await ReadUint64(stream));
    AppendBigEndian(all, count);
    for (uint64_t i = 0; i < count; ++i) {
      VM_CO_TRY(co_await ReadFrame(stream, scratch, method.max_item_size));
      AppendFrame(all, scratch);
      for (uint8_t n = 0; n < numbers; ++n) {
        VM_CO_ASSIGN_OR_RETURN(const uint64_t number, co_await ReadUint64(stream));
        AppendBigEndian(all, number);
      }
    }
  }
  co_return reader.Add(all);
}

template <class Reader>
awaitable<Status> ReadReply(net::FramedStream& stream, const SelectMethod& method,
                            Reader& reader) {
  SelectReply& reply = reader.reply;
  ByteBuffer scratch;
  if (method.payload != PayloadKind::kTraceOnly) {
    VM_CO_TRY(co_await ReadFrame(stream, scratch, kMaxErrorSize));
    reply.error = AsText(scratch);
  }
  if (reply.error.empty()) {
    if (method.payload == PayloadKind::kTables) {
      VM_CO_TRY(co_await ReadTables(stream, method, reader));
    } else if (method.payload == PayloadKind::kNothing || method.payload == PayloadKind::kTraceOnly) {
      // No payload.
    } else if (method.payload == PayloadKind::kList) {
      for (;;) {
        VM_CO_TRY(co_await ReadFrame(stream, scratch, method.max_item_size));
        if (scratch.empty()) break;
        VM_CO_TRY(reader.Add(scratch));
        if (reader.IsFull()) VM_CO_TRY(co_await reader.WaitForRoom());
      }
    } else {
      auto number = co_await ReadUint64(stream);
      if (!number.ok()) co_return std::move(number).error();
      if (method.payload == PayloadKind::kNumber) {
        reply.number = number.value();
      } else {
        for (uint64_t i = 0; i < number.value(); ++i) {
          VM_CO_TRY(co_await ReadFrame(stream, scratch, method.max_item_size));
          VM_CO_TRY(reader.Add(scratch));
          if (reader.IsFull()) VM_CO_TRY(co_await reader.WaitForRoom());
        }
      }
    }
  }
  VM_CO_TRY(co_await ReadFrame(stream, scratch, kMaxTraceSize));
  reply.trace = AsText(scratch);
  co_return Ok();
}

// Runs on the strand of `stream`.
template <class Reader>
awaitable<Status> Exchange(net::FramedStream& stream, const SelectArgs& args, Deadline deadline,
                           Reader& reader, bool is_traced) {
  stream.SetDeadline(SocketDeadline(deadline));
  ByteBuffer request;
  AppendSelectRequest(request, args, is_traced, TimeoutSeconds(deadline));
  VM_CO_TRY(co_await stream.Write(request));
  VM_CO_TRY(co_await stream.Flush());
  VM_CO_TRY(co_await ReadReply(stream, MethodOf(args), reader));
  stream.SetDeadline(Deadline());
  co_return Ok();
}

template <class Reader>
awaitable<void> ExchangeInto(net::FramedStream& stream, const SelectArgs& args, Deadline deadline,
                             Reader& reader, bool is_traced, Status& status) {
  status = co_await Exchange(stream, args, deadline, reader, is_traced);
}

awaitable<void> DialInto(std::string addr, const SelectClientOptions& options,
                         Result<std::unique_ptr<net::FramedStream>>& result) {
  auto stream = co_await net::Dial(std::move(addr), options.dial);
  if (!stream.ok()) {
    result = std::move(stream).error();
    co_return;
  }
  result = co_await net::ClientHandshake(std::move(stream).value(), net::kHelloSelect, false,
                                         options.handshake_timeout);
}

}  // namespace

SelectClient::SelectClient(net::Runtime& runtime, std::string addr, SelectClientOptions options)
    : runtime_(runtime), addr_(std::move(addr)), options_(std::move(options)) {
  if (options_.registry == nullptr) return;
  metrics::Registry& registry = *options_.registry;
  options_.dial.metrics = std::make_shared<net::StreamMetrics>(registry, net::StreamMetrics::Side::kDialer, "vmselect", addr_);
  figures_ = std::make_unique<Figures>(registry, addr_);
  registry.SetGaugeCallback(fmt::format("vm_tcpdialer_conns_idle{{{}}}", figures_->node),
                            [this] { return static_cast<double>(idle_connections()); });
  registry.SetGaugeCallback(fmt::format("vm_tcpdialer_addr_available{{{}}}", figures_->node), [this] { return is_available() ? 1.0 : 0.0; });
}

SelectClient::~SelectClient() {
  if (figures_ != nullptr) {
    for (const char* name : {"conns_idle", "addr_available"}) {
      figures_->registry.RemoveGaugeCallback(fmt::format("vm_tcpdialer_{}{{{}}}", name, figures_->node));
    }
  }
  for (auto& idle : idle_) idle.stream->Close();
}

size_t SelectClient::idle_connections() const {
  MutexLock lock(mutex_);
  return idle_.size();
}

bool SelectClient::is_available() const {
  MutexLock lock(mutex_);
  return could_dial_ || !idle_.empty();
}

std::unique_ptr<net::FramedStream> SelectClient::TakeIdle() {
  MutexLock lock(mutex_);
  const auto oldest = std::chrono::steady_clock::now() - kMaxIdleTime;
  if (idle_.empty()) return nullptr;
  Idle idle = std::move(idle_.back());
  idle_.pop_back();
  // Older ones lie below.
  if (idle.since < oldest) {
    idle_.clear();
    return nullptr;
  }
  return std::move(idle.stream);
}

std::optional<Error> SelectClient::BeginDial() {
  MutexLock lock(mutex_);
  if (!timeout_) return std::nullopt;
  if (is_trying_ || std::chrono::steady_clock::now() < next_try_) return timeout_;
  is_trying_ = true;
  return std::nullopt;
}

void SelectClient::EndDial(const Error* failure, std::chrono::steady_clock::duration took) {
  MutexLock lock(mutex_);
  could_dial_ = failure == nullptr;
  is_trying_ = false;
  timeout_.reset();
  const bool has_timed_out = took >= std::min(options_.dial.timeout, options_.handshake_timeout);
  if (failure == nullptr || !has_timed_out) return;
  timeout_ = *failure;
  next_try_ = std::chrono::steady_clock::now() + kDialPause;
}

awaitable<Result<std::unique_ptr<net::FramedStream>>> SelectClient::Connect() {
  if (auto failure = BeginDial()) co_return std::move(*failure);
  const auto from = std::chrono::steady_clock::now();
  Result<std::unique_ptr<net::FramedStream>> dialed = Error(ErrorCode::kUnavailable, "an exception ended the dial");
  std::exception_ptr thrown;
  try {
    dialed = co_await DialNode();
  } catch (...) {
    thrown = std::current_exception();
  }
  EndDial(dialed.ok() ? nullptr : &dialed.error(), std::chrono::steady_clock::now() - from);
  if (thrown) std::rethrow_exception(thrown);
  co_return std::move(dialed);
}

void SelectClient::PutIdle(std::unique_ptr<net::FramedStream> stream) {
  MutexLock lock(mutex_);
  if (idle_.size() >= options_.max_idle_connections) return;
  idle_.push_back({std::move(stream), std::chrono::steady_clock::now()});
}

awaitable<Result<std::unique_ptr<net::FramedStream>>> SelectClient::DialNode() {
  Result<std::unique_ptr<net::FramedStream>> result =
      Error(ErrorCode::kCancelled, "the runtime has stopped");
  co_await net::asio::co_spawn(runtime_.MakeStrand(), DialInto(addr_, options_, result),
                               net::asio::use_awaitable);
  co_return std::move(result);
}

awaitable<CallResult> SelectClient::Attempt(const SelectArgs& args, Deadline deadline, ReplyReader& reader, bool fresh,
                                            bool is_traced) {
  CallResult result;
  const auto call_error = [&](const std::string& reason) {
    return fmt::format("cannot execute funcName=\"{}\" on vmstorage \"{}\": {}", MethodOf(args).name, addr_, reason);
  };
  if (deadline.Expired() || deadline.Cancelled()) {
    result.outcome = CallOutcome::kDeadline;
    result.message = call_error("deadline exceeded");
    co_return result;
  }
  std::unique_ptr<net::FramedStream> stream;
  if (!fresh) stream = TakeIdle();
  if (stream == nullptr) {
    auto dialed = co_await Connect();
    if (!dialed.ok()) {
      result.outcome = CallOutcome::kNoConnection;
      result.message = "cannot obtain connection from a pool: " + dialed.error().message();
      co_return result;
    }
    stream = std::move(dialed).value();
  }
  Status status = Ok();
  {
    const auto close = [&stream] { stream->Close(); };
    const std::stop_callback on_stop(deadline.stop_token(), close);
    co_await net::asio::co_spawn(stream->executor(),
                                 ExchangeInto(*stream, args, deadline, reader, is_traced, status),
                                 net::asio::use_awaitable);
  }
  if (!status.ok()) {
    stream->Close();
    const bool is_late = deadline.Expired() || deadline.Cancelled() || net::IsTimeout(status.error());
    result.outcome = reader.refusal ? CallOutcome::kRefused
                     : is_late      ? CallOutcome::kDeadline
                                    : CallOutcome::kBroken;
    result.refusal = reader.refusal;
    result.message = call_error(status.error().message());
    co_return result;
  }
  // After a stop the stream is closed.
  if (!deadline.Cancelled()) PutIdle(std::move(stream));
  result.reply = std::move(reader.reply);
  if (!result.reply.error.empty()) {
    result.outcome = CallOutcome::kRemoteError;
    result.message = call_error(result.reply.error);
  }
  co_return result;
}

awaitable<CallResult> SelectClient::Call(const SelectArgs& args, Deadline deadline, std::shared_ptr<ItemSink> sink, bool is_traced) {
  ReplyReader reader;
  reader.sink = std::move(sink);
  const Running running(figures_.get(), MethodOf(args));
  if (figures_ != nullptr && std::holds_alternative<SearchRequest>(args)) reader.items_read = &figures_->blocks_read;
  auto result = co_await Attempt(args, deadline, reader, false, is_traced);
  if (result.outcome == CallOutcome::kBroken && !reader.has_passed_items) {
    reader.reply = SelectReply();
    result = co_await Attempt(args, deadline, reader, true, is_traced);
  }
  if (result.outcome != CallOutcome::kOk) running.CountError();
  co_return result;
}

}  // namespace vm::rpc
