#include "insert/ship/rpc_node_client.h"

#include <utility>

#include "lib/base/check.h"
#include "lib/net/stream_metrics.h"
#include "lib/rpc/insert_codec.h"

namespace vm::insert {
namespace {

namespace asio = boost::asio;

class RpcNodeClient : public NodeClient {
 public:
  RpcNodeClient(std::string address, RowKind kind, rpc::InsertConnOptions options)
      : address_(std::move(address)),
        rpc_name_(kind == RowKind::kSamples ? rpc::kWriteRows : rpc::kWriteMetadata),
        options_(std::move(options)) {}

  asio::awaitable<ConnectOutcome> Connect() override {
    VM_CHECK(connection_ == nullptr);
    ConnectOutcome outcome;
    const auto dial_errors = [this] {
      return options_.dial.metrics == nullptr ? 0 : options_.dial.metrics->attempt_errors.Get();
    };
    const uint64_t errors_before = dial_errors();
    Result<std::unique_ptr<rpc::InsertConn>> dialed =
        co_await rpc::InsertConn::Dial(address_, options_);
    if (dialed.ok()) {
      connection_ = std::move(dialed).value();
      co_return outcome;
    }
    outcome.status = std::move(dialed).error();
    outcome.is_dialed = dial_errors() == errors_before;
    co_return outcome;
  }

  asio::awaitable<SendOutcome> Send(ByteView rows) override {
    VM_CHECK(connection_ != nullptr);
    const Result<rpc::InsertAnswer> answer = co_await connection_->Send(rpc_name_, rows);
    if (!answer.ok()) {
      broken_reason_ = answer.error().message();
      co_return SendOutcome::kBroken;
    }
    switch (answer.value()) {
      case rpc::InsertAnswer::kAccepted: co_return SendOutcome::kAccepted;
      case rpc::InsertAnswer::kReadOnly: co_return SendOutcome::kReadOnly;
      case rpc::InsertAnswer::kUnsupported: co_return SendOutcome::kUnsupported;
      case rpc::InsertAnswer::kDropped: co_return SendOutcome::kDropped;
    }
    co_return SendOutcome::kBroken;
  }

  void Close() override {
    if (connection_ != nullptr) connection_->Close();
    connection_.reset();
  }

  std::string BrokenReason() const override { return broken_reason_; }

  bool connected() const override { return connection_ != nullptr; }

 private:
  const std::string address_;
  const std::string_view rpc_name_;
  const rpc::InsertConnOptions options_;
  std::unique_ptr<rpc::InsertConn> connection_;
  std::string broken_reason_;
};

}  // namespace

std::unique_ptr<NodeClient> MakeRpcNodeClient(std::string address, RowKind kind,
                                              rpc::InsertConnOptions options) {
  return std::make_unique<RpcNodeClient>(std::move(address), kind, std::move(options));
}

}  // namespace vm::insert
