#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/mutex.h"
#include "lib/metrics/metrics.h"
#include "lib/net/framed_stream.h"
#include "lib/net/runtime.h"
#include "lib/net/stream.h"
#include "lib/rpc/item_sink.h"
#include "lib/rpc/select_codec.h"

namespace vm::rpc {

struct SelectClientOptions {
  net::DialOptions dial;
  std::chrono::milliseconds handshake_timeout{5000};
  size_t max_idle_connections = 64;
  metrics::Registry* registry = nullptr;  // Counts calls and bytes there, by node; may be null, else outlives `runtime`.

  SelectClientOptions() {}
};

/// How a call to a node ended.
enum class CallOutcome : uint8_t {
  kOk,
  kRemoteError,   // The node answered with a text.
  kNoConnection,  // Nobody there.
  kDeadline,      // Too late.
  kBroken,        // The connection failed, or the reply was malformed.
  kRefused,       // The sink did not take an item.
};

struct CallResult {
  CallOutcome outcome = CallOutcome::kOk;
  std::string message;  // Unless kOk; names the node.
  SelectReply reply;
  std::optional<Error> refusal;  // What the sink said, for kRefused.
};

/// A storage node as vmselect sees it: connections that are kept and used again, newest first. Thread-safe.
/// Reference: VictoriaMetrics lib/netutil/conn_pool.go.
class SelectClient {
 public:
  /// `runtime` must outlive the client and all calls.
  SelectClient(net::Runtime& runtime, std::string addr, SelectClientOptions options);
  ~SelectClient();
  SelectClient(const SelectClient&) = delete;
  SelectClient& operator=(const SelectClient&) = delete;

  /// Ask, and read the whole reply; with a sink its items go there. A connection that fails is replaced once, unless
  /// the sink has got something. While dials of the node time out, one call a second waits for it and the others fail
  /// at once. With `is_traced` the reply tells what the node did. A requested stop breaks the call off. May be called on any executor. Requires that
  /// `args` stays until the end.
  net::asio::awaitable<CallResult> Call(const SelectArgs& args, Deadline deadline, std::shared_ptr<ItemSink> sink = nullptr,
                                      bool is_traced = false);
  const std::string& addr() const noexcept { return addr_; }

 private:
  struct ReplyReader;
  struct Figures;
  class Running;
  struct Idle {
    std::unique_ptr<net::FramedStream> stream;
    std::chrono::steady_clock::time_point since;
  };

  size_t idle_connections() const VM_EXCLUDES(mutex_);
  bool is_available() const VM_EXCLUDES(mutex_);
  std::unique_ptr<net::FramedStream> TakeIdle() VM_EXCLUDES(mutex_);
  /// A new connection, unless the last attempt has shown that this takes long and leads nowhere.
  net::asio::awaitable<Result<std::unique_ptr<net::FramedStream>>> Connect();
  std::optional<Error> BeginDial() VM_EXCLUDES(mutex_);
  void EndDial(const Error* failure, std::chrono::steady_clock::duration took) VM_EXCLUDES(mutex_);
  void PutIdle(std::unique_ptr<net::FramedStream> stream) VM_EXCLUDES(mutex_);
  net::asio::awaitable<Result<std::unique_ptr<net::FramedStream>>> DialNode();
  net::asio::awaitable<CallResult> Attempt(const SelectArgs& args, Deadline deadline, ReplyReader& reader, bool fresh, bool is_traced);

  net::Runtime& runtime_;
  const std::string addr_;
  SelectClientOptions options_;  // Fixed after construction.
  std::unique_ptr<Figures> figures_;  // Null without registry.
  mutable Mutex mutex_;
  std::vector<Idle> idle_ VM_GUARDED_BY(mutex_);
  bool could_dial_ VM_GUARDED_BY(mutex_) = true;  // The last time.
  // Since a dial timed out: what it said, when the next one may try, and whether one does.
  std::optional<Error> timeout_ VM_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point next_try_ VM_GUARDED_BY(mutex_);
  bool is_trying_ VM_GUARDED_BY(mutex_) = false;
};

}  // namespace vm::rpc
