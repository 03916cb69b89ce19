#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/net/handshake.h"
#include "lib/net/run_on.h"
#include "lib/net/stream.h"
#include "lib/rpc/frame.h"
#include "lib/rpc/frame_io.h"
#include "lib/rpc/select_codec.h"

namespace vm::select {

/// For tests: a storage node that answers calls of the select port with what a function says. Serves on a loopback
/// port until it is destroyed.
class FakeNode {
 public:
  using Answer = std::function<rpc::SelectReply(const rpc::SelectArgs&)>;

  FakeNode(net::Runtime& runtime, Answer answer) : tasks_("fake node"), answer_(std::move(answer)) {
    auto listener = net::Listener::Open(runtime.executor(), "127.0.0.1:0");
    listener_ = std::move(listener).value();
    tasks_.Spawn(runtime.MakeStrand(), Accept());
  }
  ~FakeNode() {
    listener_->Close();
    CloseAll();
    tasks_.Wait();
  }

  std::string addr() const { return listener_->addr(); }
  /// Until Release, answers stop after the first `items` items.
  void HoldAfter(size_t items) { hold_after_ = items; }
  void Release() { hold_after_ = kNoHold; }
  int connections() const { return connections_; }
  /// How long the last call was allowed to take.
  uint32_t last_timeout_s() const { return last_timeout_s_; }

 private:
  static constexpr size_t kNoHold = static_cast<size_t>(-1);

  void CloseAll() {
    std::lock_guard lock(mutex_);
    for (auto* stream : streams_) stream->Close();
    is_closing_ = true;
  }

  net::asio::awaitable<void> Accept() {
    for (;;) {
      auto stream = co_await listener_->Accept();
      if (!stream.ok()) co_return;
      const auto executor = stream.value()->executor();
      tasks_.Spawn(executor, Serve(std::move(stream).value()));
    }
  }

  net::asio::awaitable<void> Serve(std::unique_ptr<net::Stream> raw) {
    static constexpr std::array kHellos = {net::kHelloSelect};
    auto shaken = co_await net::ServerHandshake(std::move(raw), kHellos, false, std::chrono::seconds(5));
    if (!shaken.ok() || shaken.value().stream == nullptr) co_return;
    net::FramedStream& stream = *shaken.value().stream;
    {
      std::lock_guard lock(mutex_);
      if (is_closing_) co_return;
      streams_.push_back(&stream);
    }
    ++connections_;
    for (bool more = true; more;) more = co_await AnswerOne(stream);
    --connections_;
    std::lock_guard lock(mutex_);
    std::erase(streams_, &stream);
  }

  net::asio::awaitable<bool> AnswerOne(net::FramedStream& stream) {
    ByteBuffer name, args, frame;
    auto begun = co_await rpc::ReadFrameOrEof(stream, name, 128);
    if (!begun.ok() || !begun.value()) co_return false;
    ByteBuffer flags(5);
    auto read = co_await stream.ReadFull(flags);
    if (!read.ok()) co_return false;
    last_timeout_s_ = LoadBigEndian<uint32_t>(flags.data() + 1);
    const auto* method = rpc::FindSelectMethod(AsText(name));
    if (method == nullptr) co_return false;
    for (const auto& field : method->args) {
      if (field.kind == rpc::ArgField::Kind::kFrame) {
        read = co_await rpc::ReadFrame(stream, frame, field.size);
        if (!read.ok()) co_return false;
        rpc::AppendFrame(args, frame);
        continue;
      }
      if (field.kind == rpc::ArgField::Kind::kNamesAndTimes) {
        const bool has_names = co_await ReadNames(stream, args);
        if (!has_names) co_return false;
        continue;
      }
      ByteBuffer fixed(field.kind == rpc::ArgField::Kind::kFixed ? field.size : 1);
      read = co_await stream.ReadFull(fixed);
      if (!read.ok()) co_return false;
      Append(args, fixed);
      if (field.kind == rpc::ArgField::Kind::kFixed || fixed[0] == 0) continue;
      fixed.resize(field.size);
      read = co_await stream.ReadFull(fixed);
      if (!read.ok()) co_return false;
      Append(args, fixed);
    }
    auto parsed = rpc::UnmarshalSelectArgs(*method, args);
    if (!parsed.ok()) co_return false;
    const rpc::SelectReply reply = answer_(parsed.value());
    co_return co_await Send(stream, method->payload, reply);
  }

  net::asio::awaitable<bool> ReadNames(net::FramedStream& stream, ByteBuffer& args) {
    ByteBuffer number(8), frame;
    auto read = co_await stream.ReadFull(number);
    if (!read.ok()) co_return false;
    Append(args, number);
    for (uint64_t left = LoadBigEndian<uint64_t>(number.data()); left > 0; --left) {
      read = co_await rpc::ReadFrame(stream, frame, 1 << 16);
      if (!read.ok()) co_return false;
      rpc::AppendFrame(args, frame);
      read = co_await stream.ReadFull(number);
      if (!read.ok()) co_return false;
      Append(args, number);
    }
    co_return true;
  }

  net::asio::awaitable<bool> Send(net::FramedStream& stream, rpc::PayloadKind kind, const rpc::SelectReply& reply) {
    ByteBuffer bytes;
    rpc::AppendSelectReply(bytes, kind, reply);
    if (reply.size() > hold_after_) {
      // The error text, then the first items.
      size_t head = 8;
      for (size_t i = 0; i < hold_after_; ++i) head += 8 + reply.item(i).size();
      const ByteView first = ByteView(bytes).first(head);
      auto written = co_await stream.Write(first);
      if (!written.ok()) co_return false;
      written = co_await stream.Flush();
      if (!written.ok()) co_return false;
      while (hold_after_ != kNoHold && !is_closing_) co_await net::SleepFor(std::chrono::milliseconds(5));
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(head));
    }
    auto written = co_await stream.Write(bytes);
    if (!written.ok()) co_return false;
    written = co_await stream.Flush();
    co_return written.ok();
  }

  net::TaskGroup tasks_;
  const Answer answer_;
  std::unique_ptr<net::Listener> listener_;
  std::atomic<size_t> hold_after_{kNoHold};
  std::atomic<int> connections_{0};
  std::atomic<uint32_t> last_timeout_s_{0};
  std::mutex mutex_;
  std::vector<net::FramedStream*> streams_;
  std::atomic<bool> is_closing_{false};
};

}  // namespace vm::select
