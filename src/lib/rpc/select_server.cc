#include "lib/rpc/select_server.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "lib/log/log.h"
#include "lib/net/handshake.h"
#include "lib/net/run_on.h"
#include "lib/rpc/frame.h"
#include "lib/rpc/frame_io.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/select_codec.h"

namespace vm::rpc {
namespace {

using net::asio::awaitable;

constexpr std::array kHellos = {net::kHelloSelect};
// Once a call name is there, the rest of the request must follow.
constexpr auto kRequestTime = std::chrono::seconds(5);
// Blocks leave in pieces of about this size.
constexpr size_t kSendSize = 256 << 10;

awaitable<Status> ReadFixed(net::FramedStream& stream, ByteBuffer& dst, size_t size) {
  const size_t at = dst.size();
  dst.resize(at + size);
  const std::span<uint8_t> room(dst.data() + at, size);
  co_return co_await stream.ReadFull(room);
}

awaitable<Status> ReadArgs(net::FramedStream& stream, const SelectMethod& method, ByteBuffer& dst) {
  ByteBuffer frame;
  for (const ArgField& field : method.args) {
    switch (field.kind) {
      case ArgField::Kind::kFixed:
        VM_CO_TRY(co_await ReadFixed(stream, dst, field.size));
        break;
      case ArgField::Kind::kOptionalTenant:
        VM_CO_TRY(co_await ReadFixed(stream, dst, 1));
        if (dst.back() != 0) VM_CO_TRY(co_await ReadFixed(stream, dst, field.size));
        break;
      case ArgField::Kind::kFrame:
        VM_CO_TRY(co_await ReadFrame(stream, frame, field.size));
        AppendFrame(dst, frame);
        break;
    }
  }
  co_return Ok();
}

awaitable<Status> WriteAndFlush(net::FramedStream& stream, ByteView bytes) {
  VM_CO_TRY(co_await stream.Write(bytes));
  co_return co_await stream.Flush();
}

// Answers one request on a thread of the pool.
class Answerer {
 public:
  Answerer(net::FramedStream& stream, SelectHandler& handler, const SelectArgs& args,
           const RequestHead& head, const Deadline& deadline)
      : stream_(stream), handler_(handler), args_(args), head_(head), deadline_(deadline) {}

  /// Leaves in `reply` what is still to be sent. An error: close the connection.
  Status Run(ByteBuffer& reply) {
    if (const auto* search = std::get_if<SearchRequest>(&args_)) return Search(*search, reply);
    SelectReply answer;
    auto status = Fill(answer);
    if (!status.ok()) answer.error = TextOf(status.error());
    AppendSelectReply(reply, MethodOf(args_).payload, answer);
    return Ok();
  }

 private:
  std::string TextOf(const Error& error) const {
    if (deadline_.Expired()) {
      return fmt::format("cannot execute request in {} seconds: {}", head_.timeout_seconds,
                         error.message());
    }
    return error.message().empty() ? "unknown error" : error.message();
  }

  Status Search(const SearchRequest& request, ByteBuffer& reply) {
    bool started = false;
    ByteBuffer packed;
    AppendErrorText(reply, "");
    auto status = handler_.Search(
        request.query, deadline_,
        [&](ByteView metric_name, const model::EncodedBlock& block) -> Status {
          packed.clear();
          model::MarshalMetricBlock(packed, model::MetricBlock{metric_name, block});
          AppendFrame(reply, packed);
          if (reply.size() < kSendSize) return Ok();
          started = true;
          auto sent = net::BlockOn(stream_.executor(), WriteAndFlush(stream_, reply));
          reply.clear();
          return sent;
        });
    if (!status.ok()) {
      if (started) return status;
      reply.clear();
      AppendErrorText(reply, TextOf(status.error()));
    } else {
      AppendFrame(reply, ByteView());
    }
    AppendFrame(reply, ByteView());
    return Ok();
  }

  Status Fill(SelectReply& answer) {
    if (const auto* names = std::get_if<SearchMetricNamesRequest>(&args_)) {
      VM_ASSIGN_OR_RETURN(const auto found, handler_.SearchMetricNames(names->query, deadline_));
      for (const auto& name : found) answer.AddItem(name);
    } else if (const auto* labels = std::get_if<LabelNamesRequest>(&args_)) {
      VM_ASSIGN_OR_RETURN(
          const auto found,
          handler_.SearchLabelNames(labels->query, labels->max_names, deadline_));
      for (const auto& name : found) answer.AddItem(AsBytes(name));
    } else if (const auto* values = std::get_if<LabelValuesRequest>(&args_)) {
      VM_ASSIGN_OR_RETURN(const auto found,
                          handler_.SearchLabelValues(values->query, values->label_name,
                                                     values->max_values, deadline_));
      for (const auto& value : found) answer.AddItem(AsBytes(value));
    } else if (const auto* count = std::get_if<SeriesCountRequest>(&args_)) {
      VM_ASSIGN_OR_RETURN(answer.number, handler_.SeriesCount(count->tenant, deadline_));
    } else if (const auto* metadata = std::get_if<SearchMetadataRequest>(&args_)) {
      VM_ASSIGN_OR_RETURN(
          const auto found,
          handler_.SearchMetadata(metadata->tenant ? &*metadata->tenant : nullptr, metadata->limit,
                                  metadata->metric_name, deadline_));
      ByteBuffer packed;
      for (const auto& row : found) {
        packed.clear();
        model::AppendMetadataRow(packed, row);
        answer.AddItem(packed);
      }
    }
    return Ok();
  }

  net::FramedStream& stream_;
  SelectHandler& handler_;
  const SelectArgs& args_;
  const RequestHead& head_;
  const Deadline& deadline_;
};

awaitable<Status> ServeCalls(net::FramedStream& stream, SelectHandler& handler, net::Pool& pool) {
  for (;;) {
    ByteBuffer name;
    auto more = co_await ReadFrameOrEof(stream, name, kMaxRpcNameSize);
    if (!more.ok()) co_return std::move(more).error();
    if (!more.value()) co_return Ok();
    stream.SetDeadline(Deadline::After(kRequestTime));
    RequestHead head;
    head.rpc_name = AsText(name);
    const SelectMethod* method = FindSelectMethod(head.rpc_name);
    if (method == nullptr) {
      co_return Error(ErrorCode::kInvalidInput,
                      fmt::format("unsupported rpcName: \"{}\"", head.rpc_name));
    }
    ByteBuffer fixed;
    VM_CO_TRY(co_await ReadFixed(stream, fixed, 5));
    head.trace_enabled = fixed[0] != 0;
    head.timeout_seconds = LoadBigEndian<uint32_t>(fixed.data() + 1);
    ByteBuffer packed_args;
    VM_CO_TRY(co_await ReadArgs(stream, *method, packed_args));
    auto args = UnmarshalSelectArgs(*method, packed_args);
    if (!args.ok()) co_return std::move(args).error();
    // Answers may take as long as the peer reads.
    stream.SetDeadline(Deadline());

    const Deadline deadline = Deadline::After(std::chrono::seconds(head.timeout_seconds));
    Answerer answerer(stream, handler, args.value(), head, deadline);
    ByteBuffer reply;
    auto answer = [&answerer, &reply]() noexcept { return answerer.Run(reply); };
    auto status = co_await net::RunOn(pool, answer);
    if (!status.ok()) co_return std::move(status).error();
    VM_CO_TRY(co_await WriteAndFlush(stream, reply));
  }
}

}  // namespace

awaitable<void> ServeSelect(std::unique_ptr<net::Stream> stream, SelectHandler& handler,
                            net::Pool& pool, SelectServerOptions options) {
  const std::string peer = stream->remote_addr();
  auto session = co_await net::ServerHandshake(std::move(stream), kHellos,
                                               !options.disable_compression,
                                               options.handshake_timeout);
  if (!session.ok()) {
    VM_LOG_WARN("cannot complete vmselect handshake with client \"{}\": {}", peer,
                session.error().message());
    co_return;
  }
  auto framed = std::move(session.value().stream);
  if (framed == nullptr) co_return;
  auto status = co_await ServeCalls(*framed, handler, pool);
  if (!status.ok()) {
    VM_LOG_WARN("cannot process vmselect conn {}: {}", peer, status.error().message());
  }
  framed->Close();
}

}  // namespace vm::rpc
