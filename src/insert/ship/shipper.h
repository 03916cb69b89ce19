#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "insert/shard/shard.h"
#include "insert/ship/node_client.h"
#include "lib/base/result.h"
#include "lib/hash/rendezvous.h"

namespace vm::insert {

struct ShipOptions {
  size_t replication_factor = 1;               // -replicationFactor
  size_t max_node_buffer_bytes = 30 << 20;     // Rows that may wait for one node, and as many that are being sent.
  bool drop_samples_on_overload = false;       // -dropSamplesOnOverload
  bool disable_rerouting_on_unavailable = false;
  bool reroute_from_slow_nodes = false;        // -disableRerouting=false and one copy only.
  std::chrono::milliseconds flush_interval{200};
  std::chrono::milliseconds read_only_probe_interval{30'000};
  std::chrono::milliseconds unsupported_redial_interval{120'000};
  std::chrono::milliseconds max_redial_interval{1'000};  // Doubles from the flush interval up to this.
};

/// Figures of one node. Any thread may read them.
struct NodeStats {
  std::atomic<uint64_t> pending_bytes{0};
  std::atomic<uint64_t> pending_rows{0};
  std::atomic<uint64_t> pushed_rows{0};
  std::atomic<uint64_t> sent_rows{0};
  std::atomic<uint64_t> rerouted_from_here_rows{0};
  std::atomic<uint64_t> rerouted_to_here_rows{0};
  std::atomic<uint64_t> dropped_on_overload_rows{0};
  std::atomic<uint64_t> dropped_on_unsupported_rows{0};
  std::atomic<uint64_t> dial_errors{0};
  std::atomic<uint64_t> handshake_errors{0};
  std::atomic<uint64_t> connection_errors{0};
  std::atomic<uint64_t> unacknowledged_rows{0};  // Sent without an answer, so sent again: they may be stored twice.
  std::atomic<uint64_t> send_duration_us{0};
  std::atomic<bool> is_reachable{true};  // Until the first failure, as in the reference.
  std::atomic<bool> is_connected{false};
  std::atomic<bool> is_read_only{false};
};

/// Called on the Shipper's executor; for log lines. Any may be empty.
struct ShipEvents {
  std::function<void(const std::string& address)> on_dialed;
  /// Once until the next success.
  std::function<void(const std::string& address, const Error& error)> on_unreachable;
  std::function<void(const std::string& address)> on_read_only;
  std::function<void(const std::string& address)> on_dropped_on_overload;
  std::function<void(const std::string& address)> on_slowness_rerouting;
  std::function<void(size_t copies, size_t rows_count)> on_incomplete_replication;
  std::function<void(size_t rows_count)> on_no_nodes;
  /// Shutdown with rows that no node takes.
  std::function<void(const std::string& address, size_t rows_count)> on_rows_lost;
};

/// Brings batches of one kind of rows to the storage nodes: a buffer and a worker per node, retry, replicas,
/// and other nodes for rows whose node is not ready. Rules: wire protocol, "vminsert client behaviour".
///
/// Lifecycle: Start, any number of concurrent Push, Stop. Everything runs on one serial executor (a strand), but for a Push that finds
/// room; Push and Stop may be called from any executor. An exception in a worker ends the process. Destroy it after Stop has finished.
class Shipper {
 public:
  /// Where the memory of pushed batches goes, for new ones.
  BufferPool& buffers() { return buffers_; }

  struct Node {
    std::string address;
    std::unique_ptr<NodeClient> client;
  };

  /// `nodes` are in the order of `placement`, which must outlive the Shipper. `executor` must be serial.
  Shipper(boost::asio::any_io_executor executor, RowKind kind, const hash::Rendezvous& placement,
          std::vector<Node> nodes, ShipOptions options, ShipEvents events);
  ~Shipper();
  Shipper(const Shipper&) = delete;
  Shipper& operator=(const Shipper&) = delete;

  /// Dial all nodes and begin to send.
  void Start();

  /// Hand over a batch; waits while its node has no room. Rows are then queued, not yet stored. Stop waits for each Push that has been
  /// called, be it awaited yet or not. Errors: kUnavailable during shutdown, for batches of which nothing is queued; where part
  /// of the rows is and no node takes the others, the text says so: sent again, they will be there twice.
  boost::asio::awaitable<Status> Push(NodeBatch batch);

  /// Send what is queued once more, then end all workers and waiting pushes; none is left when it returns. Rows of a batch that has been
  /// queued in part are queued now, without regard to room. Call once, after Start.
  boost::asio::awaitable<void> Stop();

  size_t nodes_count() const noexcept { return nodes_.size(); }
  const std::string& address(size_t node) const;
  const NodeStats& stats(size_t node) const;
  /// Rows stored with fewer copies than wanted; rows and batches moved to another node.
  uint64_t incompletely_replicated_rows() const noexcept { return incompletely_replicated_rows_; }
  uint64_t rerouted_rows() const noexcept { return rerouted_rows_; }
  uint64_t reroutes() const noexcept { return reroutes_; }
  /// Pushes that did not find room at once and have not ended.
  size_t running_pushes() const noexcept { return running_pushes_; }

 private:
  static constexpr size_t kMaxPooledBytes = 16 << 20;
  struct NodeState;
  struct PushJob;
  class EnteredPush;
  class RunningPush;
  class ConnectionLock;

  boost::asio::awaitable<Status> PushEntered(NodeBatch batch, EnteredPush entered);
  boost::asio::awaitable<void> PushOnStrand(std::shared_ptr<PushJob> job);
  boost::asio::awaitable<Status> Place(NodeBatch& batch);
  boost::asio::awaitable<Status> PlaceElsewhere(NodeBatch& batch);
  boost::asio::awaitable<Status> PlaceRowByRow(NodeBatch& batch, bool prefers_source);
  boost::asio::awaitable<void> StopOnStrand();
  boost::asio::awaitable<void> RunWorker(size_t node);
  boost::asio::awaitable<void> RunProbes(size_t node);
  boost::asio::awaitable<void> SendPending(size_t node);
  boost::asio::awaitable<void> CheckHealth(size_t node);
  boost::asio::awaitable<bool> SendReplicas(size_t node, const NodeBatch& batch);
  boost::asio::awaitable<bool> SendTo(size_t node, const NodeBatch& batch);
  boost::asio::awaitable<void> LockConnection(size_t node);
  boost::asio::awaitable<void> WaitForChange();
  /// Ends early when stopping.
  boost::asio::awaitable<void> Sleep(size_t node, std::chrono::milliseconds duration);

  bool IsReady(size_t node) const;
  size_t MaxBytes() const;
  bool HasPending(size_t node);
  /// False: the node is not ready or has no room, or this is being stopped. `completes`: the last two do not matter, for some of these
  /// rows are queued already. Thread-safe.
  bool TryAppend(NodeBatch& batch, bool completes = false);
  bool TryAppendRow(size_t node, ByteView row, bool completes);
  static Error RefuseRerouted(size_t queued_rows, size_t rows_count);
  bool MayRerouteSlow(size_t node) const;
  void CountRerouted(size_t from, size_t to, size_t rows_count);
  std::vector<size_t> NotReadyNodes() const;
  void Disconnect(size_t node, const Error& error);
  void NotifyChange();

  const boost::asio::any_io_executor executor_;
  const RowKind kind_;
  const hash::Rendezvous& placement_;
  const ShipOptions options_;
  BufferPool buffers_{kMaxPooledBytes};
  const ShipEvents events_;
  std::vector<std::unique_ptr<NodeState>> nodes_;  // Strand only, but for the stats and what is guarded or atomic.
  boost::asio::steady_timer changed_;              // Strand only. Cancelled to wake those who wait.
  std::atomic<bool> is_stopping_{false};
  size_t running_ = 0;                             // Strand only: workers and probes.
  std::atomic<size_t> running_pushes_{0};          // Those that need the strand.
  std::atomic<size_t> entered_pushes_{0};          // Those that may still find that they do.
  std::atomic<uint64_t> incompletely_replicated_rows_{0};
  std::atomic<uint64_t> rerouted_rows_{0};
  std::atomic<uint64_t> reroutes_{0};
};

}  // namespace vm::insert
