#include "insert/ship/shipper.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

namespace vm::insert {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// A node that answers as told and remembers what it took.
class FakeClient : public NodeClient {
 public:
  struct Script {
    bool is_up = true;
    SendOutcome outcome = SendOutcome::kAccepted;
    std::vector<ByteBuffer> taken;
    int probes_count = 0;
  };
  explicit FakeClient(Script& script) : script_(script) {}

  asio::awaitable<Status> Connect() override {
    if (!script_.is_up) co_return Error(ErrorCode::kUnavailable, "down");
    is_connected_ = true;
    co_return Ok();
  }
  asio::awaitable<SendOutcome> Send(ByteView rows) override {
    if (rows.empty()) ++script_.probes_count;
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
    std::vector<std::string> addresses;
    for (size_t i = 0; i < nodes_count; ++i) addresses.push_back("n" + std::to_string(i));
    placement_ = std::make_unique<hash::Rendezvous>(addresses, 0);
    std::vector<Shipper::Node> nodes;
    for (size_t i = 0; i < nodes_count; ++i) {
      nodes.push_back({addresses[i], std::make_unique<FakeClient>(scripts_[i])});
    }
    ShipEvents events;
    events.on_rows_lost = [this](const std::string&, size_t rows) { lost_rows_ += rows; };
    shipper_ = std::make_unique<Shipper>(asio::make_strand(io_), RowKind::kSamples, *placement_,
                                         std::move(nodes), options, events);
    shipper_->Start();
  }

  // Rows of one series; the size of the batch is 26 bytes a row.
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

  void Push(NodeBatch batch) {
    ++pushes_;
    asio::co_spawn(io_, PushOne(std::move(batch)), [](std::exception_ptr) {});
  }
  asio::awaitable<void> PushOne(NodeBatch batch) {
    const Status status = co_await shipper_->Push(std::move(batch));
    ++(status.ok() ? accepted_ : refused_);
  }

  template <class Condition>
  void RunUntil(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
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
    is_stopped = true;
  }

  asio::io_context io_;
  FakeClient::Script scripts_[3];
  std::unique_ptr<hash::Rendezvous> placement_;
  std::unique_ptr<Shipper> shipper_;
  size_t pushes_ = 0, accepted_ = 0, refused_ = 0, lost_rows_ = 0;
};

TEST_F(ShipperTest, BringsRowsToTheirNode) {
  Open(2);
  RunUntil([&] { return shipper_->stats(0).is_reachable && shipper_->stats(1).is_reachable; });
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
  RunUntil([&] { return shipper_->stats(0).is_reachable && shipper_->stats(2).is_reachable; });
  Push(Batch(2));
  RunUntil([&] { return scripts_[0].taken.size() + scripts_[2].taken.size() == 2; });
  EXPECT_TRUE(scripts_[1].taken.empty());
  Stop();
  EXPECT_EQ(shipper_->incompletely_replicated_rows(), 0u);
}

TEST_F(ShipperTest, ReroutesRowsOfAnUnreachableNode) {
  scripts_[0].is_up = false;
  Open(2);
  RunUntil([&] { return shipper_->stats(0).dial_errors > 0 && shipper_->stats(1).is_reachable; });
  Push(Batch(0, 2));
  RunUntil([&] { return shipper_->stats(1).sent_rows == 2; });
  EXPECT_EQ(shipper_->rerouted_rows(), 2u);
  EXPECT_EQ(shipper_->stats(0).rerouted_from_here_rows, 2u);
  EXPECT_EQ(shipper_->stats(1).rerouted_to_here_rows, 2u);
  Stop();
}

TEST_F(ShipperTest, KeepsRowsUntilTheOnlyNodeIsBack) {
  Open(1);
  RunUntil([&] { return shipper_->stats(0).is_reachable.load(); });
  scripts_[0].outcome = SendOutcome::kBroken;
  scripts_[0].is_up = false;
  Push(Batch(0));
  RunUntil([&] { return shipper_->stats(0).dial_errors > 2; });
  EXPECT_EQ(accepted_, 1u);
  scripts_[0].outcome = SendOutcome::kAccepted;
  scripts_[0].is_up = true;
  RunUntil([&] { return shipper_->stats(0).sent_rows == 1; });
  EXPECT_EQ(scripts_[0].taken.size(), 1u);
  Stop();
  EXPECT_EQ(lost_rows_, 0u);
}

TEST_F(ShipperTest, ProbesAReadOnlyNodeUntilItTakesRowsAgain) {
  scripts_[0].outcome = SendOutcome::kReadOnly;
  Open(1);
  RunUntil([&] { return shipper_->stats(0).is_reachable.load(); });
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

TEST_F(ShipperTest, FlushesOnceMoreAtShutdown) {
  Open(1);
  RunUntil([&] { return shipper_->stats(0).is_reachable.load(); });
  Push(Batch(0));
  RunUntil([&] { return accepted_ == 1; });
  Stop();
  EXPECT_EQ(shipper_->stats(0).sent_rows, 1u);
}

}  // namespace
}  // namespace vm::insert
