#include "insert/ship/shipper.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>
#include <thread>

#include "insert/ship/saturation.h"

namespace vm::insert {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// A node that answers as told and remembers what it took.
class FakeClient : public NodeClient {
 public:
  struct Script {
    bool is_up = true;
    bool is_deaf = false;  // Takes connections and shakes no hands.
    milliseconds connect_delay{0};
    milliseconds delay{0};
    SendOutcome outcome = SendOutcome::kAccepted;
    bool throws = false;
    std::vector<ByteBuffer> taken;
    int probes_count = 0;
  };
  explicit FakeClient(Script& script) : script_(script) {}

  asio::awaitable<ConnectOutcome> Connect() override {
    ConnectOutcome outcome;
    if (script_.connect_delay.count() > 0) {
      asio::steady_timer timer(co_await asio::this_coro::executor, script_.connect_delay);
      co_await timer.async_wait(asio::use_awaitable);
    }
    is_connected_ = script_.is_up;
    if (!script_.is_up) {
      outcome.status = Error(ErrorCode::kUnavailable, "down");
      outcome.is_dialed = script_.is_deaf;
    }
    co_return outcome;
  }
  asio::awaitable<SendOutcome> Send(ByteView rows) override {
    if (script_.throws) throw std::runtime_error("a defect of the client");
    if (rows.empty()) ++script_.probes_count;
    if (script_.delay.count() > 0) {
      asio::steady_timer timer(co_await asio::this_coro::executor, script_.delay);
      co_await timer.async_wait(asio::use_awaitable);
    }
    if (script_.outcome == SendOutcome::kAccepted && !rows.empty()) {
      script_.taken.emplace_back(rows.begin(), rows.end());
    }
    co_return script_.outcome;
  }
  void Close() override { is_connected_ = false; }
  bool connected() const override { return is_connected_; }

 private:
  Script& script_;
  bool is_connected_ = false;
};

class ShipperTest : public testing::Test {
 protected:
  void Open(size_t nodes_count, ShipOptions options = {}) {
    options.flush_interval = milliseconds(1);
    options.read_only_probe_interval = milliseconds(1);
    options.max_redial_interval = milliseconds(4);
    std::vector<std::string> addresses;
    for (size_t i = 0; i < nodes_count; ++i) addresses.push_back("n" + std::to_string(i));
    placement_ = std::make_unique<hash::Rendezvous>(addresses, 0);
    std::vector<Shipper::Node> nodes;
    for (size_t i = 0; i < nodes_count; ++i) {
      nodes.push_back({addresses[i], std::make_unique<FakeClient>(scripts_[i])});
    }
    ShipEvents events;
    events.on_rows_lost = [this](const std::string&, size_t rows) { lost_rows_ += rows; };
    shipper_ = std::make_unique<Shipper>(executor_, RowKind::kSamples, *placement_,
                                         std::move(nodes), options, events);
    shipper_->Start();
  }

  // Rows of one series, 30 bytes each.
  NodeBatch Batch(size_t node, size_t rows_count = 1) {
    const std::vector<std::string> one = {"x"};
    const hash::Rendezvous single(one, 0);
    ShardWriter writer(single, 1 << 20);
    const std::vector<model::LabelView> labels = {{"", "m"}};
    writer.BeginSeries({}, labels);
    for (size_t i = 0; i < rows_count; ++i) writer.AddSample(static_cast<int64_t>(i), 1);
    NodeBatch batch = std::move(writer.Finish().at(0));
    batch.node = node;
    return batch;
  }

  // One row each of many series.
  NodeBatch MixedBatch(size_t node, size_t rows_count) {
    const std::vector<std::string> one = {"x"};
    const hash::Rendezvous single(one, 0);
    ShardWriter writer(single, 1 << 20);
    for (size_t i = 0; i < rows_count; ++i) {
      const std::string name = "m" + std::to_string(i);
      const std::vector<model::LabelView> labels = {{"", name}};
      writer.BeginSeries({}, labels);
      writer.AddSample(1, 1);
    }
    NodeBatch batch = std::move(writer.Finish().at(0));
    batch.node = node;
    return batch;
  }

  // A batch of node 0, which is down, part of which is queued on node 2 while there is no room on node 1.
  void QueueInPart(bool row_by_row) {
    scripts_[0].is_up = false;
    ShipOptions options;
    options.max_node_buffer_bytes = 60;
    options.reroute_from_slow_nodes = row_by_row;
    Open(3, options);
    RunUntil([&] { return shipper_->stats(0).dial_errors > 0 && shipper_->stats(1).is_connected && shipper_->stats(2).is_connected; });
    scripts_[1].delay = milliseconds(300);
    scripts_[2].delay = milliseconds(100);  // What becomes of its rows shows first.
    Push(Batch(1, 4));
    RunUntil([&] { return accepted_ == 1 && shipper_->stats(1).pending_rows == 0; });  // It is being sent.
    Push(Batch(1, 4));
    RunUntil([&] { return accepted_ == 2; });
    Push(MixedBatch(0, 40));
    RunUntil([&] { return shipper_->stats(2).rerouted_to_here_rows > 0; });
    EXPECT_EQ(accepted_, 2u);
  }

  void Push(NodeBatch batch) {
    ++pushes_;
    asio::co_spawn(io_, PushOne(std::move(batch)), [](std::exception_ptr) {});
  }
  asio::awaitable<void> PushOne(NodeBatch batch) {
    const Status status = co_await shipper_->Push(std::move(batch));
    ++(status.ok() ? accepted_ : refused_);
    if (!status.ok()) last_error_ = status.error().message();
  }

  static asio::awaitable<void> AwaitRefusal(asio::awaitable<Status> push, bool& is_refused) {
    const Status status = co_await std::move(push);
    is_refused = !status.ok();
  }

  asio::awaitable<void> PushAndCount(NodeBatch batch, std::atomic<size_t>& done) {
    const Status status = co_await shipper_->Push(std::move(batch));
    if (status.ok()) ++done;
  }

  template <class Condition>
  void RunUntil(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    io_.restart();
    while (!condition() && std::chrono::steady_clock::now() < end) io_.run_one_for(milliseconds(5));
    EXPECT_TRUE(condition());
  }
  void Stop() {
    bool is_stopped = false;
    asio::co_spawn(io_, StopOne(is_stopped), [](std::exception_ptr) {});
    RunUntil([&] { return is_stopped; });
  }
  asio::awaitable<void> StopOne(bool& is_stopped) {
    co_await shipper_->Stop();
    EXPECT_EQ(shipper_->running_pushes(), 0u);
    is_stopped = true;
  }

  asio::io_context io_;
  asio::any_io_executor executor_ = asio::make_strand(io_);  // Of the next Shipper.
  FakeClient::Script scripts_[3];
  std::unique_ptr<hash::Rendezvous> placement_;
  std::unique_ptr<Shipper> shipper_;
  size_t pushes_ = 0, accepted_ = 0, refused_ = 0, lost_rows_ = 0;
  std::string last_error_;
};

TEST_F(ShipperTest, BringsRowsToTheirNode) {
  Open(2);
  RunUntil([&] { return shipper_->stats(0).is_connected && shipper_->stats(1).is_connected; });
  Push(Batch(1, 3));
  RunUntil([&] { return shipper_->stats(1).sent_rows == 3; });
  EXPECT_EQ(scripts_[1].taken.at(0), Batch(1, 3).data);
  EXPECT_TRUE(scripts_[0].taken.empty());
  Stop();
  EXPECT_EQ(accepted_, 1u);
}

TEST_F(ShipperTest, WritesCopiesToTheNextNodes) {
  ShipOptions options;
  options.replication_factor = 2;
  Open(3, options);
  RunUntil([&] { return shipper_->stats(0).is_connected && shipper_->stats(2).is_connected; });
  Push(Batch(2));
  RunUntil([&] { return scripts_[0].taken.size() + scripts_[2].taken.size() == 2; });
  EXPECT_TRUE(scripts_[1].taken.empty());
  Stop();
  EXPECT_EQ(shipper_->incompletely_replicated_rows(), 0u);
}

TEST_F(ShipperTest, ReroutesRowsOfAnUnreachableNode) {
  scripts_[0].is_up = false;
  Open(2);
  RunUntil([&] { return shipper_->stats(0).dial_errors > 0 && shipper_->stats(1).is_connected; });
  Push(Batch(0, 2));
  RunUntil([&] { return shipper_->stats(1).sent_rows == 2; });
  EXPECT_EQ(shipper_->rerouted_rows(), 2u);
  EXPECT_EQ(shipper_->stats(0).rerouted_from_here_rows, 2u);
  EXPECT_EQ(shipper_->stats(1).rerouted_to_here_rows, 2u);
  Stop();
}

TEST_F(ShipperTest, KeepsRowsUntilTheOnlyNodeIsBack) {
  Open(1);
  RunUntil([&] { return shipper_->stats(0).is_connected.load(); });
  scripts_[0].outcome = SendOutcome::kBroken;
  scripts_[0].is_up = false;
  Push(Batch(0));
  RunUntil([&] { return shipper_->stats(0).dial_errors > 2; });
  EXPECT_EQ(accepted_, 1u);
  EXPECT_EQ(shipper_->stats(0).unacknowledged_rows, 1u);
  scripts_[0].outcome = SendOutcome::kAccepted;
  scripts_[0].is_up = true;
  RunUntil([&] { return shipper_->stats(0).sent_rows == 1; });
  EXPECT_EQ(scripts_[0].taken.size(), 1u);
  EXPECT_EQ(shipper_->stats(0).unacknowledged_rows, 1u);
  Stop();
  EXPECT_EQ(lost_rows_, 0u);
}

TEST_F(ShipperTest, ProbesAReadOnlyNodeUntilItTakesRowsAgain) {
  scripts_[0].outcome = SendOutcome::kReadOnly;
  Open(1);
  RunUntil([&] { return shipper_->stats(0).is_connected.load(); });
  Push(Batch(0));
  RunUntil([&] { return scripts_[0].probes_count > 1; });
  EXPECT_TRUE(shipper_->stats(0).is_read_only);
  Push(Batch(0));  // Waits: there is no other node.
  scripts_[0].outcome = SendOutcome::kAccepted;
  RunUntil([&] { return shipper_->stats(0).sent_rows == 2; });
  EXPECT_FALSE(shipper_->stats(0).is_read_only);
  Stop();
  EXPECT_EQ(accepted_, 2u);
}

TEST_F(ShipperTest, MakesPushesWaitForRoomAndEndsThemAtShutdown) {
  scripts_[0].is_up = false;
  ShipOptions options;
  options.max_node_buffer_bytes = 60;
  Open(1, options);
  Push(Batch(0));
  Push(Batch(0));
  Push(Batch(0));
  RunUntil([&] { return shipper_->stats(0).dial_errors > 3; });
  EXPECT_LT(accepted_, 3u);
  Stop();
  RunUntil([&] { return accepted_ + refused_ == pushes_; });
  EXPECT_GT(refused_, 0u);
}

TEST_F(ShipperTest, ThereIsRoomAgainAfterEachPacketAndNotOnlyWhenTheBufferIsEmpty) {
  constexpr size_t kRows = 30'000;  // Two such batches are a packet.
  const size_t batch_bytes = Batch(0, kRows).data.size();
  ShipOptions options;
  options.max_node_buffer_bytes = 3 * batch_bytes;
  Open(1, options);
  RunUntil([&] { return shipper_->stats(0).is_connected.load(); });
  scripts_[0].delay = milliseconds(20);
  // Six find room, the others do as packets are taken.
  for (int i = 0; i < 12; ++i) Push(Batch(0, kRows));
  RunUntil([&] { return accepted_ >= 8; });
  EXPECT_LE(shipper_->stats(0).sent_rows.load(), 4 * kRows) << "while much still waits to be sent";
  EXPECT_GE(shipper_->stats(0).pending_bytes.load(), 2 * batch_bytes);
  RunUntil([&] { return shipper_->stats(0).sent_rows == 12 * kRows; });
  size_t bytes = 0;
  for (const ByteBuffer& packet : scripts_[0].taken) {
    EXPECT_LE(packet.size(), size_t{2} << 20);
    bytes += packet.size();
  }
  EXPECT_EQ(bytes, 12 * batch_bytes);
  EXPECT_EQ(shipper_->stats(0).pending_bytes.load(), 0u);
  EXPECT_EQ(shipper_->stats(0).pending_rows.load(), 0u);
  Stop();
  EXPECT_EQ(accepted_, 12u);
}

TEST_F(ShipperTest, SendsLargerPacketsToAFarNode) {
  constexpr size_t kRows = 30'000;
  scripts_[0].connect_delay = milliseconds(40);
  scripts_[0].delay = milliseconds(10);  // All of it on the way.
  scripts_[1].delay = milliseconds(10);  // All of it work.
  ShipOptions options;
  options.max_node_buffer_bytes = 8 << 20;
  Open(2, options);
  RunUntil([&] { return shipper_->stats(0).is_connected && shipper_->stats(1).is_connected; });
  for (int i = 0; i < 60; ++i) {
    Push(Batch(0, kRows));
    Push(Batch(1, kRows));
  }
  RunUntil([&] { return shipper_->stats(0).sent_rows + shipper_->stats(1).sent_rows == 120 * kRows; });
  const auto largest = [&](int node) {
    size_t most = 0;
    for (const ByteBuffer& packet : scripts_[node].taken) most = std::max(most, packet.size());
    return most;
  };
  EXPECT_GT(largest(0), size_t{4} << 20);
  EXPECT_LE(largest(0), size_t{8} << 20);
  EXPECT_LE(largest(1), size_t{2} << 20);
  Stop();
  EXPECT_EQ(accepted_, 120u);
}

TEST_F(ShipperTest, TellsDialsFromHandshakes) {
  scripts_[0].is_up = false;
  scripts_[1].is_up = false;
  scripts_[1].is_deaf = true;
  Open(2);
  RunUntil([&] { return shipper_->stats(0).dial_errors > 1 && shipper_->stats(1).handshake_errors > 1; });
  EXPECT_EQ(shipper_->stats(0).handshake_errors, 0u);
  EXPECT_EQ(shipper_->stats(1).dial_errors, 0u);
  EXPECT_FALSE(shipper_->stats(0).is_reachable);
  Stop();
}

TEST_F(ShipperTest, WritesAsManyCopiesAsThereAreNodes) {
  ShipOptions options;
  options.replication_factor = 3;
  Open(2, options);
  RunUntil([&] { return shipper_->stats(0).is_connected && shipper_->stats(1).is_connected; });
  Push(Batch(0));
  RunUntil([&] { return scripts_[0].taken.size() + scripts_[1].taken.size() == 2; });
  Stop();
  EXPECT_EQ(shipper_->incompletely_replicated_rows(), 0u);
}

TEST_F(ShipperTest, CountsMissingCopies) {
  scripts_[1].is_up = false;
  ShipOptions options;
  options.replication_factor = 2;
  Open(2, options);
  RunUntil([&] { return shipper_->stats(0).is_connected && shipper_->stats(1).dial_errors > 0; });
  Push(Batch(0, 3));
  RunUntil([&] { return scripts_[0].taken.size() == 1; });
  Stop();
  EXPECT_EQ(shipper_->incompletely_replicated_rows(), 3u);
}

TEST_F(ShipperTest, DropsRowsOnOverloadWhenTold) {
  scripts_[0].is_up = false;
  ShipOptions options;
  options.drop_samples_on_overload = true;
  Open(2, options);
  RunUntil([&] { return shipper_->stats(0).dial_errors > 0; });
  Push(Batch(0, 5));
  RunUntil([&] { return accepted_ == 1; });
  EXPECT_EQ(shipper_->stats(0).dropped_on_overload_rows, 5u);
  EXPECT_TRUE(scripts_[1].taken.empty());
  Stop();
}

TEST_F(ShipperTest, WaitsForAnUnreachableNodeWhenReroutingIsOff) {
  scripts_[0].is_up = false;
  ShipOptions options;
  options.disable_rerouting_on_unavailable = true;
  Open(2, options);
  RunUntil([&] { return shipper_->stats(0).dial_errors > 2; });
  Push(Batch(0));
  RunUntil([&] { return shipper_->stats(0).dial_errors > 5; });
  EXPECT_EQ(accepted_, 0u);
  scripts_[0].is_up = true;
  RunUntil([&] { return scripts_[0].taken.size() == 1; });
  EXPECT_EQ(accepted_, 1u);
  Stop();
}

TEST_F(ShipperTest, ReroutesRowsOfASlowNode) {
  ShipOptions options;
  options.max_node_buffer_bytes = 30 * 26;
  options.reroute_from_slow_nodes = true;
  Open(3, options);
  RunUntil([&] { return shipper_->stats(0).is_connected && shipper_->stats(2).is_connected; });
  // Warm up: all nodes are fast, then one is not.
  for (int i = 0; i < 12; ++i) {
    for (size_t node = 0; node < 3; ++node) Push(Batch(node));
    RunUntil([&] { return accepted_ == pushes_ && shipper_->stats(0).pending_rows + shipper_->stats(1).pending_rows +
                                                          shipper_->stats(2).pending_rows == 0; });
  }
  scripts_[0].delay = milliseconds(30);
  for (int i = 0; i < 30 && shipper_->reroutes() == 0; ++i) {
    Push(Batch(0, 30));
    Push(Batch(0, 30));
    Push(Batch(0, 30));
    RunUntil([&] { return accepted_ == pushes_; });
  }
  EXPECT_GT(shipper_->stats(0).rerouted_from_here_rows, 0u);
  EXPECT_EQ(shipper_->stats(0).rerouted_from_here_rows,
            shipper_->stats(1).rerouted_to_here_rows + shipper_->stats(2).rerouted_to_here_rows);
  scripts_[0].delay = milliseconds(0);
  Stop();
  EXPECT_EQ(shipper_->stats(0).sent_rows + shipper_->stats(1).sent_rows + shipper_->stats(2).sent_rows,
            shipper_->stats(0).pushed_rows + shipper_->stats(1).pushed_rows + shipper_->stats(2).pushed_rows);
}

// Whoever is still on the strand would use what the owner destroys next.
TEST_F(ShipperTest, StopWaitsForPushesThatComeMeanwhile) {
  size_t meanwhile = 0;
  for (size_t step = 0; step < 40; ++step) {
    asio::io_context serial;  // Run handler by handler, so that the push comes between any two of them.
    executor_ = serial.get_executor();
    Open(1);
    while (!shipper_->stats(0).is_connected) serial.run_one_for(milliseconds(5));
    bool is_stopped = false;
    asio::co_spawn(io_, StopOne(is_stopped), [](std::exception_ptr) {});
    for (size_t i = 0; !is_stopped; ++i) {
      io_.restart();
      io_.poll();
      if (is_stopped) break;
      if (i == step) {
        ++meanwhile;
        Push(Batch(0));
        io_.restart();
        io_.poll();
      }
      serial.restart();
      serial.run_one_for(milliseconds(5));
    }
    serial.restart();
    serial.poll();
    io_.restart();
    io_.poll();
    EXPECT_EQ(accepted_ + refused_, pushes_);
    shipper_.reset();
  }
  EXPECT_GT(meanwhile, 3u);
}

TEST_F(ShipperTest, StopWaitsForPushesThatHaveBeenCalled) {
  Open(1);
  RunUntil([&] { return shipper_->stats(0).is_connected.load(); });
  auto push = shipper_->Push(Batch(0));  // Its coroutine has not begun.
  bool is_stopped = false, has_ended = false;
  asio::co_spawn(io_, StopOne(is_stopped), [](std::exception_ptr) {});
  for (int i = 0; i < 20; ++i) io_.run_one_for(milliseconds(5));
  EXPECT_FALSE(is_stopped);
  asio::co_spawn(io_, AwaitRefusal(std::move(push), has_ended), [](std::exception_ptr) {});
  RunUntil([&] { return is_stopped && has_ended; });
}

// A client that is refused sends all rows again.
TEST_F(ShipperTest, ABatchThatIsQueuedInPartIsCompletedAtShutdown) {
  for (const bool row_by_row : {false, true}) {
    accepted_ = pushes_ = 0;
    for (auto& script : scripts_) script = FakeClient::Script();
    QueueInPart(row_by_row);
    Stop();
    RunUntil([&] { return accepted_ + refused_ == pushes_; });
    EXPECT_EQ(refused_, 0u) << last_error_;
    size_t bytes = 0;
    for (const auto& script : scripts_) {
      for (const ByteBuffer& packet : script.taken) bytes += packet.size();
    }
    EXPECT_EQ(bytes, 2 * Batch(0, 4).data.size() + MixedBatch(0, 40).data.size());
    EXPECT_EQ(lost_rows_, 0u);
  }
}

TEST_F(ShipperTest, ABatchThatCannotBeCompletedAtShutdownIsRefusedWithTheWholeTruth) {
  for (const bool row_by_row : {false, true}) {
    accepted_ = pushes_ = refused_ = 0;
    for (auto& script : scripts_) script = FakeClient::Script();
    QueueInPart(row_by_row);
    for (auto& script : scripts_) {
      script.outcome = SendOutcome::kBroken;
      script.is_up = false;
    }
    RunUntil([&] { return shipper_->stats(1).dial_errors > 0 && shipper_->stats(2).dial_errors > 0; });
    Stop();
    RunUntil([&] { return accepted_ + refused_ == pushes_; });
    EXPECT_EQ(refused_, 1u);
    const size_t queued = shipper_->stats(2).rerouted_to_here_rows + shipper_->stats(1).rerouted_to_here_rows;
    EXPECT_EQ(last_error_, "cannot reroute all rows: shutting down; " + std::to_string(queued) +
                               " of 40 rows are queued nevertheless and will be there twice when they are sent again");
  }
}

// Many threads push at once; each row arrives once.
TEST_F(ShipperTest, PushesFromManyThreadsLoseNothing) {
  ShipOptions options;
  options.max_node_buffer_bytes = 40 * 26;
  scripts_[0].delay = milliseconds(1);
  Open(1, options);
  RunUntil([&] { return shipper_->stats(0).is_connected.load(); });
  constexpr size_t kThreads = 4, kPushes = 200;
  asio::io_context others;
  std::atomic<size_t> done{0};
  for (size_t i = 0; i < kThreads * kPushes; ++i) {
    asio::co_spawn(others, PushAndCount(Batch(0, 3), done), [](std::exception_ptr) {});
  }
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < kThreads; ++i) threads.emplace_back([&others] { others.run(); });
  RunUntil([&] { return done == kThreads * kPushes; });
  Stop();
  EXPECT_EQ(shipper_->stats(0).pushed_rows, kThreads * kPushes * 3);
  EXPECT_EQ(shipper_->stats(0).sent_rows, kThreads * kPushes * 3);
  size_t bytes = 0;
  for (const ByteBuffer& packet : scripts_[0].taken) {
    EXPECT_LE(packet.size(), 2 * options.max_node_buffer_bytes);
    bytes += packet.size();
  }
  EXPECT_EQ(bytes, kThreads * kPushes * Batch(0, 3).data.size());
}

TEST_F(ShipperTest, AnExceptionInAWorkerIsNotSilent) {
  Open(1);
  RunUntil([&] { return shipper_->stats(0).is_connected.load(); });
  scripts_[0].throws = true;
  Push(Batch(0));
  EXPECT_DEATH(io_.run_for(std::chrono::seconds(5)), "shipper: a defect of the client");
  scripts_[0].throws = false;
  Stop();
}

TEST(SaturationTest, WarmsUpAndMoves) {
  Saturation saturation;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(saturation.Get(), 0);
    saturation.Add(0.5);
  }
  EXPECT_EQ(saturation.Get(), 0);
  saturation.Add(0.5);
  EXPECT_DOUBLE_EQ(saturation.Get(), 0.5);
  saturation.Add(1);
  EXPECT_DOUBLE_EQ(saturation.Get(), 0.5 + 0.5 * 2 / 181);
}

bool Allows(double own, std::vector<double> ready) { return AllowsSlownessRerouting(own, ready); }

TEST(SaturationTest, AllowsOnlyTheSlowestOfThreeToReroute) {
  EXPECT_TRUE(Allows(0.9, {0.9, 0.1, 0.5}));
  EXPECT_FALSE(Allows(0.9, {0.9, 0.1}));       // Too few.
  EXPECT_FALSE(Allows(0.9, {0.9, 0, 0.5}));    // One is not warm.
  EXPECT_FALSE(Allows(0, {0, 0.1, 0.5}));
  EXPECT_FALSE(Allows(0.8, {0.8, 0.9, 0.5}));  // Another one is slower.
  EXPECT_FALSE(Allows(0.9, {0.9, 0.7, 0.1}));  // The next one is busy too.
  EXPECT_FALSE(Allows(0.6, {0.6, 0.55, 0.1})); // Not much slower.
}

TEST_F(ShipperTest, FlushesOnceMoreAtShutdown) {
  Open(1);
  RunUntil([&] { return shipper_->stats(0).is_connected.load(); });
  Push(Batch(0));
  RunUntil([&] { return accepted_ == 1; });
  Stop();
  EXPECT_EQ(shipper_->stats(0).sent_rows, 1u);
}

}  // namespace
}  // namespace vm::insert
