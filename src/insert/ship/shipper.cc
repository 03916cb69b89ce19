#include "insert/ship/shipper.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <utility>

#include "insert/ship/saturation.h"
#include "lib/base/check.h"
#include "lib/base/mutex.h"
#include "lib/net/end_on_exception.h"

namespace vm::insert {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

/// Rows that go to a near node at once. While it works on them there is no more room: so few that nobody waits long for
/// it, so many that they pack well.
constexpr size_t kPacketBytes = 2 << 20;
/// A far node gets so many that it works on them this many times as long as the way there and back takes.
constexpr int kMinWorkPerRoundTrip = 4;
/// Connecting takes about so many ways there and back.
constexpr int kRoundTripsOfConnect = 4;
/// One is sent while the next is filled.
constexpr size_t kMaxSpares = 2;

}  // namespace

struct Shipper::NodeState {
  NodeState(Node node, const asio::any_io_executor& executor)
      : address(std::move(node.address)), client(std::move(node.client)), pause(executor),
        probe_pause(executor) {}

  const std::string address;
  const std::unique_ptr<NodeClient> client;
  Mutex mutex;
  std::deque<NodeBatch> pending VM_GUARDED_BY(mutex);  // Packets; none is empty.
  std::vector<ByteBuffer> spares VM_GUARDED_BY(mutex);  // Memory for new ones.
  size_t sent_bytes VM_GUARDED_BY(mutex) = 0;           // Of the packet that was taken last, until the node has it.
  size_t usual_bytes VM_GUARDED_BY(mutex) = 0;          // Of recent packets; falls slowly.
  size_t packet_bytes VM_GUARDED_BY(mutex) = kPacketBytes;  // Of one packet at most, unless a batch is larger.
  Clock::duration round_trip{0};                            // Set and read on the strand.

  bool HasRoomFor(size_t bytes, size_t max_bytes) const VM_REQUIRES(mutex) {
    return pending.empty() || stats.pending_bytes + sent_bytes + bytes <= max_bytes;
  }
  void Append(NodeBatch& batch) VM_REQUIRES(mutex) {
    NodeBatch& packet = PacketFor(batch.data.size());
    if (packet.data.empty() && packet.data.capacity() < batch.data.size()) {
      stats.pending_bytes += batch.data.size();
      packet.data = std::move(batch.data);
    } else {
      AppendBytes(packet, batch.data);
    }
    Count(packet, batch.rows_count);
  }
  void AppendRow(ByteView row) VM_REQUIRES(mutex) {
    NodeBatch& packet = PacketFor(row.size());
    AppendBytes(packet, row);
    Count(packet, 1);
  }
  NodeBatch TakePacket() VM_REQUIRES(mutex) {
    NodeBatch packet = std::move(pending.front());
    pending.pop_front();
    stats.pending_bytes -= packet.data.size();
    stats.pending_rows -= packet.rows_count;
    sent_bytes = packet.data.size();
    return packet;
  }
  /// Learn from a packet that took `duration`. Small ones tell nothing.
  void AdjustPackets(size_t bytes, Clock::duration duration, size_t max_bytes) VM_REQUIRES(mutex) {
    if (bytes < packet_bytes / 2) return;
    const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
    const double work = std::max(seconds(duration - round_trip), 1e-4);
    const double factor = std::min(kMinWorkPerRoundTrip * seconds(round_trip) / work, 2.0);
    const size_t least = std::min(kPacketBytes, max_bytes);
    packet_bytes = std::clamp(static_cast<size_t>(static_cast<double>(packet_bytes) * factor), least, max_bytes);
  }
  void Done(ByteBuffer data) VM_REQUIRES(mutex) {
    sent_bytes = 0;
    // Not for ever: a buffer that has become too big for the rows that come goes away, but not for a single small packet, for
    // to grow it anew means to copy and to touch fresh memory.
    usual_bytes = std::max(data.size(), usual_bytes - usual_bytes / 8);
    if (spares.size() == kMaxSpares || usual_bytes < data.capacity() / 4) return;
    data.clear();
    spares.push_back(std::move(data));
  }
  std::atomic<size_t> waiting_pushes{0};  // New ones queue up behind them.
  std::atomic<bool> is_broken{false};     // Set on the strand.
  std::atomic<bool> is_read_only{false};
  bool is_locked = false;       // Somebody uses the connection.
  bool is_reported = false;     // The failure has been told; silent until the next success.
  Clock::time_point no_dial_before{};
  std::chrono::milliseconds redial_pause{0};
  Saturation saturation;
  Clock::time_point last_send_end = Clock::now();
  asio::steady_timer pause;
  asio::steady_timer probe_pause;
  NodeStats stats;

 private:
  NodeBatch& PacketFor(size_t bytes) VM_REQUIRES(mutex) {
    if (pending.empty() || pending.back().data.size() + bytes > packet_bytes) {
      NodeBatch& packet = pending.emplace_back();
      if (!spares.empty()) {
        packet.data = std::move(spares.back());
        spares.pop_back();
      }
    }
    return pending.back();
  }
  void AppendBytes(NodeBatch& packet, ByteView bytes) {
    vm::Append(packet.data, bytes);
    stats.pending_bytes += bytes.size();
  }
  void Count(NodeBatch& packet, size_t rows_count) {
    packet.rows_count += rows_count;
    stats.pending_rows += rows_count;
  }
};

// Shared by the caller of Push and its coroutine on the strand: either may be destroyed first.
struct Shipper::PushJob {
  NodeBatch batch;
  Status status = Ok();
};

// Lets Stop wait for a push that has not ended and is not on the strand. Any thread: Stop looks now and then.
class Shipper::EnteredPush {
 public:
  explicit EnteredPush(std::atomic<size_t>& count) : count_(&count) { ++count; }
  EnteredPush(EnteredPush&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  EnteredPush& operator=(EnteredPush&&) = delete;
  ~EnteredPush() { Leave(); }
  void Leave() {
    if (count_ != nullptr) --*std::exchange(count_, nullptr);
  }

 private:
  std::atomic<size_t>* count_;
};

// Lets Stop wait for a push, also when the coroutine is destroyed where it waits.
class Shipper::RunningPush {
 public:
  explicit RunningPush(Shipper& shipper) : shipper_(shipper) {}
  ~RunningPush() {
    --shipper_.running_pushes_;
    shipper_.NotifyChange();
  }
  RunningPush(const RunningPush&) = delete;
  RunningPush& operator=(const RunningPush&) = delete;

 private:
  Shipper& shipper_;
};

// Gives the connection back, also when the coroutine is destroyed where it waits.
class Shipper::ConnectionLock {
 public:
  ConnectionLock(Shipper& shipper, size_t node) : shipper_(shipper), node_(node) {}
  ~ConnectionLock() {
    shipper_.nodes_[node_]->is_locked = false;
    shipper_.NotifyChange();
  }
  ConnectionLock(const ConnectionLock&) = delete;
  ConnectionLock& operator=(const ConnectionLock&) = delete;

 private:
  Shipper& shipper_;
  const size_t node_;
};

Shipper::Shipper(asio::any_io_executor executor, RowKind kind, const hash::Rendezvous& placement,
                 std::vector<Node> nodes, ShipOptions options, ShipEvents events)
    : executor_(std::move(executor)),
      kind_(kind),
      placement_(placement),
      options_(options),
      events_(std::move(events)),
      changed_(executor_, Clock::time_point::max()) {
  VM_CHECK(!nodes.empty() && nodes.size() == placement.nodes_count());
  for (Node& node : nodes) nodes_.push_back(std::make_unique<NodeState>(std::move(node), executor_));
}

Shipper::~Shipper() = default;

const std::string& Shipper::address(size_t node) const { return nodes_[node]->address; }
const NodeStats& Shipper::stats(size_t node) const { return nodes_[node]->stats; }

void Shipper::Start() {
  const auto on_end = [this](std::exception_ptr failure) {
    net::EndOnException(failure, "shipper");
    --running_;
    NotifyChange();
  };
  running_ = 2 * nodes_.size();
  for (size_t node = 0; node < nodes_.size(); ++node) {
    asio::co_spawn(executor_, RunWorker(node), on_end);
    asio::co_spawn(executor_, RunProbes(node), on_end);
  }
}

asio::awaitable<Status> Shipper::Push(NodeBatch batch) {
  VM_CHECK(batch.node < nodes_.size());
  return PushEntered(std::move(batch), EnteredPush(entered_pushes_));
}

asio::awaitable<Status> Shipper::PushEntered(NodeBatch batch, EnteredPush entered) {
  // Mostly there is room: then nobody needs the strand.
  const size_t rows_count = batch.rows_count;
  if (nodes_[batch.node]->waiting_pushes == 0 && TryAppend(batch)) {
    nodes_[batch.node]->stats.pushed_rows += rows_count;
    buffers_.Give(std::move(batch.data));
    entered.Leave();
    co_return Ok();
  }
  ++running_pushes_;
  auto job = std::make_shared<PushJob>();
  job->batch = std::move(batch);
  auto on_strand = PushOnStrand(job);
  const asio::any_io_executor executor = executor_;
  entered.Leave();
  co_await asio::co_spawn(executor, std::move(on_strand), asio::use_awaitable);
  co_return std::move(job->status);
}

asio::awaitable<void> Shipper::PushOnStrand(std::shared_ptr<PushJob> job) {
  const RunningPush running(*this);
  job->status = co_await Place(job->batch);
  buffers_.Give(std::move(job->batch.data));
}

asio::awaitable<void> Shipper::Stop() {
  // A push may begin while the end of the last one is on its way here.
  do {
    co_await asio::co_spawn(executor_, StopOnStrand(), asio::use_awaitable);
  } while (running_pushes_ > 0 || entered_pushes_ > 0);
}

asio::awaitable<void> Shipper::StopOnStrand() {
  is_stopping_ = true;
  for (auto& node : nodes_) {
    // Whoever appends without the strand has done so by now, or sees that it is too late.
    { MutexLock lock(node->mutex); }
    node->pause.cancel();
    node->probe_pause.cancel();
  }
  NotifyChange();
  asio::steady_timer soon(executor_);
  while (running_ > 0 || running_pushes_ > 0 || entered_pushes_ > 0) {
    if (entered_pushes_ > 0) {
      soon.expires_after(std::chrono::milliseconds(1));
      co_await soon.async_wait(asio::as_tuple(asio::use_awaitable));
    } else {
      co_await WaitForChange();
    }
  }
  for (auto& node : nodes_) node->client->Close();
}

bool Shipper::IsReady(size_t node) const {
  return !nodes_[node]->is_broken && !nodes_[node]->is_read_only;
}

std::vector<size_t> Shipper::NotReadyNodes() const {
  std::vector<size_t> not_ready;
  for (size_t node = 0; node < nodes_.size(); ++node) {
    if (!IsReady(node)) not_ready.push_back(node);
  }
  return not_ready;
}

// As the reference, which fills one buffer while another is sent.
size_t Shipper::MaxBytes() const { return 2 * options_.max_node_buffer_bytes; }

bool Shipper::TryAppend(NodeBatch& batch, bool completes) {
  NodeState& node = *nodes_[batch.node];
  MutexLock lock(node.mutex);
  if (!IsReady(batch.node)) return false;
  if (!completes && (is_stopping_ || !node.HasRoomFor(batch.data.size(), MaxBytes()))) return false;
  node.Append(batch);
  return true;
}

bool Shipper::TryAppendRow(size_t node, ByteView row, bool completes) {
  NodeState& state = *nodes_[node];
  MutexLock lock(state.mutex);
  if (!IsReady(node)) return false;
  if (!completes && (is_stopping_ || !state.HasRoomFor(row.size(), MaxBytes()))) return false;
  state.AppendRow(row);
  return true;
}

Error Shipper::RefuseRerouted(size_t queued_rows, size_t rows_count) {
  if (queued_rows == 0) return Error(ErrorCode::kUnavailable, "cannot reroute rows: shutting down");
  return Error(ErrorCode::kUnavailable,
               fmt::format("cannot reroute all rows: shutting down; {} of {} rows are queued nevertheless and will be there twice "
                           "when they are sent again",
                           queued_rows, rows_count));
}

bool Shipper::MayRerouteSlow(size_t node) const {
  if (!options_.reroute_from_slow_nodes) return false;
  std::vector<double> ready;
  for (size_t other = 0; other < nodes_.size(); ++other) {
    if (IsReady(other)) ready.push_back(nodes_[other]->saturation.Get());
  }
  return AllowsSlownessRerouting(nodes_[node]->saturation.Get(), ready);
}

void Shipper::CountRerouted(size_t from, size_t to, size_t rows_count) {
  if (from == to) return;
  nodes_[from]->stats.rerouted_from_here_rows += rows_count;
  nodes_[to]->stats.rerouted_to_here_rows += rows_count;
}

asio::awaitable<Status> Shipper::Place(NodeBatch& batch) {
  NodeState& node = *nodes_[batch.node];
  node.stats.pushed_rows += batch.rows_count;
  if (TryAppend(batch)) co_return Ok();
  if (options_.drop_samples_on_overload && kind_ == RowKind::kSamples && !node.is_read_only) {
    node.stats.dropped_on_overload_rows += batch.rows_count;
    if (events_.on_dropped_on_overload) events_.on_dropped_on_overload(node.address);
    co_return Ok();
  }
  const struct Waiting {
    explicit Waiting(std::atomic<size_t>& count_in) : count(count_in) { ++count; }
    ~Waiting() { --count; }
    std::atomic<size_t>& count;
  } waiting(node.waiting_pushes);
  for (;;) {
    if (is_stopping_) {
      co_return Error(ErrorCode::kUnavailable, "cannot send rows to storage node \"" +
                                                   node.address + "\": shutting down");
    }
    if (IsReady(batch.node)) {
      if (TryAppend(batch)) co_return Ok();
      if (MayRerouteSlow(batch.node)) {
        if (events_.on_slowness_rerouting) events_.on_slowness_rerouting(node.address);
        co_return co_await PlaceRowByRow(batch, true);
      }
    } else if (nodes_.size() > 1 && !options_.disable_rerouting_on_unavailable) {
      co_return co_await PlaceElsewhere(batch);
    }
    co_await WaitForChange();
  }
}

// Each row goes to the first of its two nodes that has room: the source (if preferred) or the node of its hash among the
// ready ones, then the node of its hash without that one.
asio::awaitable<Status> Shipper::PlaceRowByRow(NodeBatch& batch, bool prefers_source) {
  constexpr size_t kRowsPerTurn = 4096;  // Others get the strand in between.
  ++reroutes_;
  const size_t source = batch.node;
  ByteView rows = batch.data;
  for (size_t queued_rows = 0; !rows.empty(); ++queued_rows) {
    const Result<HashedRow> taken = TakeHashedRow(kind_, rows);
    VM_CHECK(taken.ok());  // The rows come from our own ShardWriter.
    const HashedRow& row = taken.value();
    ++rerouted_rows_;
    for (;;) {
      const bool is_stopping = is_stopping_;
      const bool completes = is_stopping && queued_rows > 0;
      std::vector<size_t> excluded = NotReadyNodes();
      if (excluded.size() < nodes_.size()) {
        size_t node = prefers_source ? source : placement_.Pick(row.hash, excluded);
        bool is_placed = TryAppendRow(node, row.bytes, completes);
        if (!is_placed) {
          if (IsReady(node)) excluded.push_back(node);
          std::sort(excluded.begin(), excluded.end());
          if (excluded.size() < nodes_.size()) {
            node = placement_.Pick(row.hash, excluded);
            is_placed = TryAppendRow(node, row.bytes, completes);
          }
        }
        if (is_placed) {
          CountRerouted(source, node, 1);
          break;
        }
      }
      if (is_stopping) co_return RefuseRerouted(queued_rows, batch.rows_count);
      co_await WaitForChange();
    }
    if ((queued_rows + 1) % kRowsPerTurn == 0) co_await asio::post(executor_, asio::use_awaitable);
  }
  co_return Ok();
}

asio::awaitable<Status> Shipper::PlaceElsewhere(NodeBatch& batch) {
  if (options_.reroute_from_slow_nodes) co_return co_await PlaceRowByRow(batch, false);
  ++reroutes_;
  rerouted_rows_ += batch.rows_count;
  const size_t source = batch.node;
  const size_t all_rows = batch.rows_count;
  size_t queued_rows = 0;
  std::vector<NodeBatch> waiting;
  waiting.push_back(std::move(batch));
  bool is_placed = false;  // Whether waiting.back() already has its new node.
  while (!waiting.empty()) {
    const bool is_stopping = is_stopping_;
    const std::vector<size_t> not_ready = NotReadyNodes();
    if (is_stopping && (queued_rows == 0 || not_ready.size() == nodes_.size())) {
      co_return RefuseRerouted(queued_rows, all_rows);
    }
    if (not_ready.size() == nodes_.size()) {
      co_await WaitForChange();
      continue;
    }
    NodeBatch& next = waiting.back();
    if (!is_placed || !IsReady(next.node)) {
      Result<std::vector<NodeBatch>> split = SplitRows(kind_, next.data, placement_, not_ready);
      VM_CHECK(split.ok());  // The rows come from our own ShardWriter.
      waiting.pop_back();
      for (NodeBatch& part : split.value()) waiting.push_back(std::move(part));
      is_placed = true;
      continue;
    }
    const size_t rows_count = next.rows_count;
    if (TryAppend(next, is_stopping)) {
      CountRerouted(source, next.node, rows_count);
      queued_rows += rows_count;
      waiting.pop_back();
      continue;
    }
    co_await WaitForChange();
  }
  co_return Ok();
}

asio::awaitable<void> Shipper::RunWorker(size_t node) {
  co_await CheckHealth(node);
  for (;;) {
    if (!HasPending(node) && !is_stopping_) co_await Sleep(node, options_.flush_interval);
    const bool is_last = is_stopping_;
    co_await CheckHealth(node);
    co_await SendPending(node);
    if (is_last && !HasPending(node)) {
      if (running_pushes_ == 0) co_return;
      co_await WaitForChange();  // They may bring the rest of their rows.
    }
  }
}

bool Shipper::HasPending(size_t node) {
  NodeState& state = *nodes_[node];
  MutexLock lock(state.mutex);
  return !state.pending.empty();
}

asio::awaitable<void> Shipper::SendPending(size_t node) {
  NodeState& state = *nodes_[node];
  NodeBatch batch;
  {
    MutexLock lock(state.mutex);
    if (state.pending.empty()) co_return;
    batch = state.TakePacket();
  }
  for (;;) {
    const bool is_sent = co_await SendReplicas(node, batch);
    if (is_sent) {
      {
        MutexLock lock(state.mutex);
        state.Done(std::move(batch.data));
      }
      NotifyChange();  // There is room again.
      co_return;
    }
    if (is_stopping_) {
      if (events_.on_rows_lost) events_.on_rows_lost(state.address, batch.rows_count);
      co_return;
    }
    if (events_.on_no_nodes) events_.on_no_nodes(batch.rows_count);
    co_await Sleep(node, options_.flush_interval);
    co_await CheckHealth(node);
  }
}

// Copy c is looked for from node + c on; each node holds at most one copy of a batch.
asio::awaitable<bool> Shipper::SendReplicas(size_t node, const NodeBatch& batch) {
  const size_t nodes_count = nodes_.size();
  const size_t copies = std::clamp<size_t>(options_.replication_factor, 1, nodes_count);
  std::vector<bool> is_used(nodes_count, false);
  for (size_t copy = 0; copy < copies; ++copy) {
    bool is_placed = false;
    for (size_t attempt = 0; attempt < nodes_count && !is_placed; ++attempt) {
      const size_t target = (node + copy + attempt) % nodes_count;
      if (is_used[target]) continue;
      is_placed = co_await SendTo(target, batch);
      if (is_placed) is_used[target] = true;
    }
    if (is_placed) continue;
    if (copy == 0) co_return false;
    // At least one copy is safe; the rest is never made up for.
    incompletely_replicated_rows_ += batch.rows_count;
    if (events_.on_incomplete_replication) events_.on_incomplete_replication(copy, batch.rows_count);
    co_return true;
  }
  co_return true;
}

asio::awaitable<bool> Shipper::SendTo(size_t node, const NodeBatch& batch) {
  NodeState& state = *nodes_[node];
  if (!IsReady(node)) co_return false;
  co_await LockConnection(node);
  const ConnectionLock lock(*this, node);
  if (!IsReady(node) || !state.client->connected()) co_return false;
  const Clock::time_point start = Clock::now();
  const SendOutcome outcome = co_await state.client->Send(batch.data);
  const auto duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  state.stats.send_duration_us += static_cast<uint64_t>(duration.count());
  const Clock::time_point end = Clock::now();
  const double since_last = std::chrono::duration<double>(end - state.last_send_end).count();
  if (since_last > 0) state.saturation.Add(std::chrono::duration<double>(end - start).count() / since_last);
  state.last_send_end = end;
  switch (outcome) {
    case SendOutcome::kAccepted:
      {
        MutexLock adjusting(state.mutex);
        state.AdjustPackets(batch.data.size(), end - start, options_.max_node_buffer_bytes);
      }
      state.stats.sent_rows += batch.rows_count;
      co_return true;
    case SendOutcome::kReadOnly:
      state.is_read_only = true;
      state.stats.is_read_only = true;
      if (events_.on_read_only) events_.on_read_only(state.address);
      NotifyChange();
      co_return false;
    case SendOutcome::kDropped:
      state.stats.dropped_on_unsupported_rows += batch.rows_count;
      co_return true;
    case SendOutcome::kUnsupported:
      state.no_dial_before = Clock::now() + options_.unsupported_redial_interval;
      break;
    case SendOutcome::kBroken:
      state.stats.unacknowledged_rows += batch.rows_count;
      break;
  }
  ++state.stats.connection_errors;
  Disconnect(node, Error(ErrorCode::kUnavailable,
                         outcome == SendOutcome::kUnsupported
                             ? std::string("the node does not know the call")
                             : fmt::format("the connection broke while sending rows: {}", state.client->BrokenReason())));
  co_return false;
}

void Shipper::Disconnect(size_t node, const Error& error) {
  NodeState& state = *nodes_[node];
  state.client->Close();
  state.is_broken = true;
  state.stats.is_reachable = false;
  state.stats.is_connected = false;
  if (!std::exchange(state.is_reported, true) && events_.on_unreachable) {
    events_.on_unreachable(state.address, error);
  }
  NotifyChange();
}

asio::awaitable<void> Shipper::CheckHealth(size_t node) {
  NodeState& state = *nodes_[node];
  co_await LockConnection(node);
  const ConnectionLock lock(*this, node);
  if (state.client->connected() || Clock::now() < state.no_dial_before) co_return;
  const Clock::time_point start = Clock::now();
  const ConnectOutcome outcome = co_await state.client->Connect();
  state.round_trip = (Clock::now() - start) / kRoundTripsOfConnect;
  if (!outcome.status.ok()) {
    ++(outcome.is_dialed ? state.stats.handshake_errors : state.stats.dial_errors);
    state.redial_pause = std::min(std::max(2 * state.redial_pause, options_.flush_interval), options_.max_redial_interval);
    state.no_dial_before = Clock::now() + state.redial_pause;
    Disconnect(node, outcome.status.error());
    co_return;
  }
  state.redial_pause = std::chrono::milliseconds(0);
  state.is_broken = false;
  state.is_reported = false;
  state.stats.is_reachable = true;
  state.stats.is_connected = true;
  if (events_.on_dialed) events_.on_dialed(state.address);
  NotifyChange();
}

// A read-only node is asked now and then whether it takes rows again.
asio::awaitable<void> Shipper::RunProbes(size_t node) {
  NodeState& state = *nodes_[node];
  while (!is_stopping_) {
    state.probe_pause.expires_after(options_.read_only_probe_interval);
    co_await state.probe_pause.async_wait(asio::as_tuple(asio::use_awaitable));
    if (is_stopping_ || !state.is_read_only) continue;
    co_await LockConnection(node);
    const ConnectionLock lock(*this, node);
    if (!state.client->connected()) continue;
    const SendOutcome outcome = co_await state.client->Send({});
    if (outcome == SendOutcome::kBroken) {
      ++state.stats.connection_errors;
      Disconnect(node, Error(ErrorCode::kUnavailable, "the connection broke while probing"));
    } else if (outcome == SendOutcome::kAccepted) {
      state.is_read_only = false;
      state.stats.is_read_only = false;
      NotifyChange();
    }
  }
}

asio::awaitable<void> Shipper::LockConnection(size_t node) {
  while (nodes_[node]->is_locked) co_await WaitForChange();
  nodes_[node]->is_locked = true;
}

asio::awaitable<void> Shipper::WaitForChange() {
  co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<void> Shipper::Sleep(size_t node, std::chrono::milliseconds duration) {
  if (is_stopping_) co_return;
  asio::steady_timer& pause = nodes_[node]->pause;
  pause.expires_after(duration);
  co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
}

void Shipper::NotifyChange() { changed_.cancel(); }

}  // namespace vm::insert
