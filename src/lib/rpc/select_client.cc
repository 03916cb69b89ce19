#include "lib/rpc/select_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/net/handshake.h"
#include "lib/net/run_on.h"
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

// Where the items of a reply go.
struct SelectClient::ReplyReader {
  std::shared_ptr<ItemSink> sink;  // Null: into `reply`.
  SelectReply reply;
  std::optional<Error> refusal;
  bool has_passed_items = false;

  Status Add(ByteView item) {
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
awaitable<Status> ReadTables(net::FramedStream& stream, const SelectMethod& method,
                             SelectReply& reply) {
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
  reply.AddItem(all);
  co_return Ok();
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
      VM_CO_TRY(co_await ReadTables(stream, method, reply));
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
                           Reader& reader) {
  stream.SetDeadline(SocketDeadline(deadline));
  ByteBuffer request;
  AppendSelectRequest(request, args, false, TimeoutSeconds(deadline));
  VM_CO_TRY(co_await stream.Write(request));
  VM_CO_TRY(co_await stream.Flush());
  VM_CO_TRY(co_await ReadReply(stream, MethodOf(args), reader));
  stream.SetDeadline(Deadline());
  co_return Ok();
}

template <class Reader>
awaitable<void> ExchangeInto(net::FramedStream& stream, const SelectArgs& args, Deadline deadline,
                             Reader& reader, Status& status) {
  status = co_await Exchange(stream, args, deadline, reader);
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
    : runtime_(runtime), addr_(std::move(addr)), options_(std::move(options)) {}

SelectClient::~SelectClient() {
  for (auto& idle : idle_) idle.stream->Close();
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

awaitable<CallResult> SelectClient::Attempt(const SelectArgs& args, Deadline deadline, ReplyReader& reader, bool fresh) {
  CallResult result;
  if (deadline.Expired() || deadline.Cancelled()) {
    result.outcome = CallOutcome::kDeadline;
    result.message = fmt::format("cannot execute {} at {}: deadline exceeded", MethodOf(args).name, addr_);
    co_return result;
  }
  std::unique_ptr<net::FramedStream> stream;
  if (!fresh) stream = TakeIdle();
  if (stream == nullptr) {
    auto dialed = co_await DialNode();
    if (!dialed.ok()) {
      result.outcome = CallOutcome::kNoConnection;
      result.message = fmt::format("cannot obtain connection from a pool for {}: {}", addr_,
                                   dialed.error().message());
      co_return result;
    }
    stream = std::move(dialed).value();
  }
  Status status = Ok();
  {
    const auto close = [&stream] { stream->Close(); };
    const std::stop_callback on_stop(deadline.stop_token(), close);
    co_await net::asio::co_spawn(stream->executor(),
                                 ExchangeInto(*stream, args, deadline, reader, status),
                                 net::asio::use_awaitable);
  }
  if (!status.ok()) {
    stream->Close();
    const bool is_late = deadline.Expired() || deadline.Cancelled() || net::IsTimeout(status.error());
    result.outcome = reader.refusal ? CallOutcome::kRefused
                     : is_late      ? CallOutcome::kDeadline
                                    : CallOutcome::kBroken;
    result.refusal = reader.refusal;
    result.message = fmt::format("cannot execute {} at {}: {}", MethodOf(args).name, addr_,
                                 status.error().message());
    co_return result;
  }
  // After a stop the stream is closed.
  if (!deadline.Cancelled()) PutIdle(std::move(stream));
  result.reply = std::move(reader.reply);
  if (!result.reply.error.empty()) {
    result.outcome = CallOutcome::kRemoteError;
    result.message = fmt::format("cannot execute {} at {}: {}", MethodOf(args).name, addr_,
                                 result.reply.error);
  }
  co_return result;
}

awaitable<CallResult> SelectClient::Call(const SelectArgs& args, Deadline deadline, std::shared_ptr<ItemSink> sink) {
  ReplyReader reader;
  reader.sink = std::move(sink);
  auto result = co_await Attempt(args, deadline, reader, false);
  if (result.outcome == CallOutcome::kBroken && !reader.has_passed_items) {
    reader.reply = SelectReply();
    result = co_await Attempt(args, deadline, reader, true);
  }
  co_return result;
}

}  // namespace vm::rpc
