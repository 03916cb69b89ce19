#include "lib/rpc/insert_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "lib/log/log.h"
#include "lib/net/handshake.h"
#include "lib/net/run_on.h"
#include "lib/net/stream_errors.h"
#include "lib/rpc/frame_io.h"
#include "lib/rpc/insert_codec.h"

namespace vm::rpc {
namespace {

using net::asio::awaitable;

constexpr std::array kHellos = {net::kHelloInsertRpc, net::kHelloInsertLegacy};

InsertServerMetrics::Blocks BlocksOf(metrics::Registry& registry, std::string_view block_type) {
  const auto counter = [&](std::string_view name) -> metrics::Counter& {
    return registry.GetCounter(
        fmt::format("vm_protoparser_{}_total{{type=\"clusternative\",block_type=\"{}\"}}", name, block_type));
  };
  return {counter("blocks_read"), counter("read_errors"), counter("parse_errors"), counter("process_errors")};
}

// One accepted connection.
class Session {
 public:
  Session(net::FramedStream& stream, InsertSink& sink, const InsertServerOptions& options)
      : stream_(stream), sink_(sink), options_(options) {}

  awaitable<Status> ServeCalls() {
    ByteBuffer name;
    ByteBuffer body;
    for (;;) {
      auto more = co_await ReadFrameOrEof(stream_, name, kMaxRpcNameSize);
      if (!more.ok()) co_return std::move(more).error();
      if (!more.value()) co_return Ok();
      const bool is_rows = AsText(name) == kWriteRows;
      if (!is_rows && AsText(name) != kWriteMetadata) {
        VM_CO_TRY(co_await Answer(kUnsupportedText));
        co_return Error(ErrorCode::kInvalidInput, fmt::format("unsupported rpcName: \"{}\"", AsText(name)));
      }
      InsertServerMetrics::Blocks* counters = nullptr;
      if (options_.metrics != nullptr) counters = is_rows ? &options_.metrics->rows : &options_.metrics->metadata;
      SlotHolder room;
      auto size = co_await ReadUint64(stream_);
      Status read = size.ok() ? Ok() : Status(std::move(size).error());
      if (read.ok()) read = co_await ReadBody(body, size.value(), room);
      if (!read.ok()) {
        if (counters != nullptr) counters->read_errors.Inc();
        // The peer may still listen; whether it does changes nothing.
        auto told = co_await Answer(read.error().message());
        static_cast<void>(told.ok());
        co_return read;
      }
      if (counters != nullptr) counters->read.Inc();
      if (sink_.IsReadOnly()) {
        VM_CO_TRY(co_await Answer(kReadOnlyText));
        continue;
      }
      VM_CO_TRY(co_await Take(std::move(body), is_rows, counters));
      VM_CO_TRY(co_await Answer(std::string_view()));
    }
  }

  awaitable<Status> ServePackets() {
    for (;;) {
      ByteBuffer rows;
      SlotHolder room;
      std::array<uint8_t, 8> head;
      auto more = co_await stream_.ReadFullOrEof(head);
      if (more.ok() && !more.value()) co_return Ok();
      Status read = more.ok() ? Ok() : Status(std::move(more).error());
      if (read.ok()) read = co_await ReadBody(rows, LoadBigEndian<uint64_t>(head.data()), room);
      if (!read.ok()) {
        if (options_.metrics != nullptr) options_.metrics->rows.read_errors.Inc();
        co_return read;
      }
      if (options_.metrics != nullptr) options_.metrics->rows.read.Inc();
      LegacyAck ack = LegacyAck::kReadOnly;
      if (!sink_.IsReadOnly()) {
        ack = LegacyAck::kAccepted;
        SlotHolder slot;
        VM_CO_TRY(co_await AcquireSlot(slot));
        if (!rows.empty()) {
          // This protocol has no word for an error: a peer without an acknowledgement sends the rows again.
          auto taken = co_await sink_.OnRows(std::move(rows));
          if (!taken.ok()) {
            if (options_.metrics != nullptr) options_.metrics->rows.process_errors.Inc();
            co_return taken;
          }
        }
      }
      const std::array<uint8_t, 1> reply = {static_cast<uint8_t>(ack)};
      stream_.SetDeadline(Deadline::After(std::chrono::seconds(5)));
      auto sent = co_await SendAck(reply);
      if (!sent.ok()) {
        if (options_.metrics != nullptr) options_.metrics->write_errors.Inc();
        co_return sent;
      }
      stream_.SetDeadline(Deadline());
    }
  }

 private:
  /// Reads a body of `size` bytes. A large one waits for its turn, which `room` holds.
  awaitable<Status> ReadBody(ByteBuffer& body, uint64_t size, SlotHolder& room) {
    body.clear();
    if (size > kSmallInsertBody && size <= kMaxInsertBodySize && options_.large_bodies != nullptr) {
      VM_CO_TRY(co_await WaitForRoom(body, size));
      room.Hold(*options_.large_bodies);
    }
    SetBodyDeadline(size);
    if (body.empty()) {
      VM_CO_TRY(co_await ReadFrameBody(stream_, body, size, kMaxInsertBodySize));
    } else {
      VM_CO_TRY(co_await ReadUpTo(stream_, body, size));
    }
    stream_.SetDeadline(Deadline());
    co_return Ok();
  }

  /// A share of what all waiting bodies may hold; given back when it goes away.
  class WaitingBytes {
   public:
    explicit WaitingBytes(std::shared_ptr<std::atomic<uint64_t>> total) : total_(std::move(total)) {}
    WaitingBytes(const WaitingBytes&) = delete;
    WaitingBytes& operator=(const WaitingBytes&) = delete;
    ~WaitingBytes() { total_->fetch_sub(bytes_); }
    bool Take(uint64_t bytes) {
      if (total_->fetch_add(bytes) + bytes > kMaxInsertBodySize) {
        total_->fetch_sub(bytes);
        return false;
      }
      bytes_ += bytes;
      return true;
    }

   private:
    const std::shared_ptr<std::atomic<uint64_t>> total_;
    uint64_t bytes_ = 0;
  };
  awaitable<Status> WaitForRoom(ByteBuffer& body, uint64_t size) {
    // The kernel of a sender gives up when the window stays shut for -vmstorageUserTimeout, 3 s usually. It opens for a sixteenth of
    // a receive buffer of at most some megabytes.
    constexpr std::chrono::seconds kInterval{1};
    if (options_.large_bodies->TryAcquire()) co_return Ok();
    WaitingBytes waiting(options_.waiting_bytes);
    const auto take_some = [this, &body, size, &waiting] { return TakeSome(body, size, waiting); };
    const Result<bool> acquired = co_await options_.large_bodies->Acquire(options_.max_queue_duration, kInterval, take_some);
    if (!acquired.ok()) co_return acquired.error();
    if (acquired.value()) co_return Ok();
    if (options_.metrics != nullptr) options_.metrics->limit_timeout.Inc();
    co_return Error(ErrorCode::kLimitExceeded,
                    fmt::format("cannot read a body of {} bytes for {:.3f} seconds because {} bodies above {} bytes are "
                                "in memory; increase -memory.allowedBytes or -memory.allowedPercent",
                                size, static_cast<double>(options_.max_queue_duration.count()) / 1e3,
                                options_.large_bodies->capacity(), kSmallInsertBody));
  }
  awaitable<Status> TakeSome(ByteBuffer& body, uint64_t size, WaitingBytes& waiting) {
    constexpr uint64_t kSomeBytes = 256 << 10;
    const uint64_t some = std::min<uint64_t>(size - body.size(), kSomeBytes);
    if (!waiting.Take(some)) co_return Ok();
    SetBodyDeadline(size);
    VM_CO_TRY(co_await ReadUpTo(stream_, body, body.size() + some));
    stream_.SetDeadline(Deadline());
    co_return Ok();
  }
  void SetBodyDeadline(uint64_t size) {
    const std::chrono::milliseconds for_size = std::chrono::seconds(std::min<uint64_t>(size, kMaxInsertBodySize) / 300'000);
    stream_.SetDeadline(Deadline::After(std::max(options_.min_body_time, for_size)));
  }

  awaitable<Status> Answer(std::string_view text) {
    ByteBuffer reply;
    AppendErrorText(reply, text);
    VM_CO_TRY(co_await stream_.Write(reply));
    co_return co_await stream_.Flush();
  }
  awaitable<Status> SendAck(ByteView reply) {
    VM_CO_TRY(co_await stream_.Write(reply));
    co_return co_await stream_.Flush();
  }

  awaitable<Status> AcquireSlot(SlotHolder& slot) {
    if (options_.slots == nullptr) co_return Ok();
    if (!options_.slots->TryAcquire()) {
      if (options_.metrics != nullptr) options_.metrics->limit_reached.Inc();
      const bool acquired = co_await options_.slots->Acquire(options_.max_queue_duration);
      if (!acquired) {
        if (options_.metrics != nullptr) options_.metrics->limit_timeout.Inc();
        co_return Error(ErrorCode::kLimitExceeded,
                        fmt::format("cannot process insert request for {:.3f} seconds because {} concurrent insert "
                                    "requests are executed. Possible solutions: to reduce workload; to increase "
                                    "compute resources at the server; to increase -insert.maxQueueDuration; to "
                                    "increase -maxConcurrentInserts",
                                    static_cast<double>(options_.max_queue_duration.count()) / 1e3,
                                    options_.slots->capacity()));
      }
    }
    slot.Hold(*options_.slots);
    co_return Ok();
  }

  // An error means that the packet was refused, and that the peer knows.
  awaitable<Status> Take(ByteBuffer body, bool is_rows, InsertServerMetrics::Blocks* counters) {
    SlotHolder slot;
    auto acquired = co_await AcquireSlot(slot);
    if (!acquired.ok()) {
      VM_CO_TRY(co_await Answer(acquired.error().message()));
      co_return acquired;
    }
    ByteBuffer rows;
    auto unpack = [&rows, &body]() noexcept { return UnpackInsertBody(rows, body); };
    Status unpacked = Ok();
    if (options_.pool != nullptr) {
      unpacked = co_await net::RunOn(*options_.pool, unpack);
    } else {
      unpacked = unpack();
    }
    if (!unpacked.ok()) {
      // A packet is acknowledged when it has arrived, not when it makes sense.
      if (counters != nullptr) counters->parse_errors.Inc();
      VM_LOG_ERROR("cannot unpack a packet from {}: {}", stream_.remote_addr(), unpacked.error().message());
      co_return Ok();
    }
    Status taken = Ok();
    if (is_rows) {
      taken = co_await sink_.OnRows(std::move(rows));
    } else {
      taken = co_await sink_.OnMetadata(std::move(rows));
    }
    if (!taken.ok()) {
      if (counters != nullptr) counters->process_errors.Inc();
      VM_CO_TRY(co_await Answer(taken.error().message()));
    }
    co_return taken;
  }

  net::FramedStream& stream_;
  InsertSink& sink_;
  const InsertServerOptions& options_;
};

void LogHandshakeError(const std::string& peer, const Error& error) {
  if (error.code() != ErrorCode::kUnavailable) {
    VM_LOG_ERROR("cannot perform vminsert handshake with client \"{}\": {}", peer, error.message());
  } else if (net::IsTimeout(error)) {
    VM_LOG_WARN(
        "cannot complete vminsert handshake due to network timeout error with client \"{}\": {}. If errors are "
        "transient and infrequent increase -rpc.handshakeTimeout and -vmstorageDialTimeout on client and server "
        "side. Check vminsert logs for errors",
        peer, error.message());
  } else {
    VM_LOG_WARN(
        "cannot complete vminsert handshake due to network error with client \"{}\": {}. Check vminsert logs for "
        "errors",
        peer, error.message());
  }
}

}  // namespace

InsertServerMetrics::InsertServerMetrics(metrics::Registry& registry)
    : connections(registry.GetGauge("vm_vminsert_conns")),
      connection_errors(registry.GetCounter("vm_vminsert_conn_errors_total")),
      limit_reached(registry.GetCounter("vm_concurrent_insert_limit_reached_total")),
      limit_timeout(registry.GetCounter("vm_concurrent_insert_limit_timeout_total")),
      write_errors(registry.GetCounter(
          "vm_protoparser_write_errors_total{type=\"clusternative\",block_type=\"metric_rows\"}")),
      rows(BlocksOf(registry, "metric_rows")),
      metadata(BlocksOf(registry, "metricsmetadata_rows")) {}

awaitable<void> ServeInsert(std::unique_ptr<net::Stream> stream, InsertSink& sink,
                            InsertServerOptions options) {
  struct Count {
    metrics::Gauge* connections;
    explicit Count(InsertServerMetrics* m) : connections(m != nullptr ? &m->connections : nullptr) {
      if (connections != nullptr) connections->Inc();
    }
    ~Count() {
      if (connections != nullptr) connections->Dec();
    }
  } count(options.metrics);
  const std::string peer = stream->remote_addr();
  auto handshake =
      co_await net::ServerHandshake(std::move(stream), kHellos, false, options.handshake_timeout);
  if (!handshake.ok()) {
    if (!options.stop.stop_requested()) LogHandshakeError(peer, handshake.error());
    co_return;
  }
  auto framed = std::move(handshake.value().stream);
  if (framed == nullptr) co_return;
  VM_LOG_INFO("processing vminsert conn from {}", peer);
  Session session(*framed, sink, options);
  Status status = Ok();
  if (handshake.value().hello == net::kHelloInsertLegacy) {
    status = co_await session.ServePackets();
  } else {
    status = co_await session.ServeCalls();
  }
  if (!options.stop.stop_requested()) {
    if (!status.ok()) {
      if (options.metrics != nullptr) options.metrics->connection_errors.Inc();
      VM_LOG_ERROR("cannot process vminsert conn from {}: cannot process vminsert request: {}", peer,
                   status.error().message());
    }
    VM_LOG_INFO("closing vminsert conn from {}", peer);
  }
  framed->Close();
}

}  // namespace vm::rpc
