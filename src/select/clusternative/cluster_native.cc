#include "select/clusternative/cluster_native.h"

#include <fmt/format.h>

#include <stop_token>
#include <utility>
#include <variant>

#include "lib/log/log.h"
#include "lib/net/borrowed_stream.h"
#include "lib/net/tcp_server.h"
#include "lib/rpc/select_relay.h"
#include "select/http/search_args.h"
#include "select/http/trace.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;

// By this a vmselect knows that the one below it misses nodes, and does not fail at once. As in the reference.
constexpr std::string_view kErrorContext = "vmselectClusterNative";

uint32_t LimitOf(uint32_t asked, uint32_t max) { return asked == 0 || asked > max ? max : asked; }

Status InContext(Status status) {
  if (status.ok()) return status;
  return std::move(status).error().WithContext(kErrorContext);
}

/// Gives blocks on as they come.
class BlocksToPeer : public BlockConsumer {
 public:
  explicit BlocksToPeer(rpc::RelayedBlocks& peer) : peer_(peer) {}

  awaitable<Status> Consume(const BlockBatch& blocks) override {
    for (size_t i = 0; i < blocks.size(); ++i) peer_.Add(blocks[i]);
    return peer_.Send();
  }

 private:
  rpc::RelayedBlocks& peer_;
};

/// What the trace says about a call, before its nodes; empty: nothing.
struct CallText {
  std::string operator()(const rpc::SearchRequest&) const { return {}; }
  std::string operator()(const rpc::SearchMetricNamesRequest& r) const { return "fetch metric names: " + SearchQueryText(r.query, false); }
  std::string operator()(const rpc::LabelNamesRequest& r) const { return "get labels: " + SearchQueryText(r.query, false); }
  std::string operator()(const rpc::LabelValuesRequest& r) const {
    return fmt::format("get values for label {}: {}", r.label_name, SearchQueryText(r.query, false));
  }
  std::string operator()(const rpc::SeriesCountRequest&) const { return "get series count"; }
  std::string operator()(const rpc::SearchMetadataRequest& r) const {
    return fmt::format("get metrics metadata: limit={}, metric_name=\"{}\"", r.limit, r.metric_name);
  }
  std::string operator()(const rpc::TagValueSuffixesRequest& r) const {
    return fmt::format("get tag value suffixes for tagKey={}, tagValuePrefix={}", r.tag_key, r.tag_value_prefix);
  }
  std::string operator()(const rpc::TsdbStatusRequest& r) const {
    return fmt::format("get tsdb stats: {}, focusLabel=\"{}\", topN={}", SearchQueryText(r.query, false), r.focus_label, r.top_n);
  }
  std::string operator()(const rpc::DeleteSeriesRequest& r) const { return "delete series: " + SearchQueryText(r.query, false); }
  std::string operator()(const rpc::RegisterMetricNamesRequest&) const { return "register metric names"; }
  std::string operator()(const rpc::TenantsRequest&) const { return "get tenants"; }
  std::string operator()(const rpc::MetricNamesUsageStatsRequest&) const { return "get metric names usage stats"; }
  std::string operator()(const rpc::ResetMetricNamesStatsRequest&) const { return "reset metric names usage stats"; }
};

}  // namespace

struct ClusterNativeServer::Impl : rpc::SelectRelay {
  Impl(Options options_in, Fanout& fanout_in, Budget& memory_in, metrics::Registry& registry)
      : options(std::move(options_in)), fanout(fanout_in), memory(memory_in), rpc_server(*this, RpcOptions(registry)) {}

  rpc::SelectServerOptions RpcOptions(metrics::Registry& registry) const {
    rpc::SelectServerOptions o = options.rpc;
    o.addr = options.addr;
    o.registry = &registry;
    o.stop = stop.get_token();
    o.max_concurrent_requests_flag = "clusternative.maxConcurrentRequests";
    o.max_queue_duration_flag = "clusternative.maxQueueDuration";
    return o;
  }

  awaitable<Status> Search(model::SearchQuery query, rpc::RelayCall call, rpc::RelayedBlocks& blocks) override {
    const FanoutRequest request = RequestFor(call);
    BlocksToPeer consumer(blocks);
    auto searched = co_await fanout.StreamBlocks(std::move(query), request, consumer);
    if (call.steps != nullptr) *call.steps = NodeStepsJson(*request.trace);
    if (!searched.ok()) co_return InContext(std::move(searched).error());
    co_return Ok();
  }

  awaitable<Status> Answer(rpc::SelectArgs args, rpc::RelayCall call, rpc::SelectReply& reply) override {
    const FanoutRequest request = RequestFor(call);
    std::string text;
    if (call.steps != nullptr) text = std::visit(CallText(), args);
    const auto from = Deadline::Clock::now();
    auto task = std::visit([&](auto& one) { return Ask(std::move(one), request, reply); }, args);
    auto status = co_await std::move(task);
    if (call.steps != nullptr) {
      const std::chrono::duration<double, std::milli> took = Deadline::Clock::now() - from;
      call.steps->assign(1, '[');
      AppendTraceJson(*call.steps, took.count(), text, NodeStepsJson(*request.trace));
      *call.steps += ']';
    }
    co_return InContext(std::move(status));
  }

  /// What the call may hold ends with the request.
  FanoutRequest RequestFor(const rpc::RelayCall& call) {
    FanoutRequest request;
    request.deadline = call.deadline;
    // The one above would not hear of a partial answer.
    request.deny_partial = true;
    const int64_t limit = options.max_memory_per_query > 0 ? options.max_memory_per_query : memory.limit_bytes();
    request.budget = std::make_shared<Budget>("-search.maxMemoryPerQuery", limit, &memory);
    request.held = std::make_shared<HeldMemory>(request.budget);
    if (call.steps != nullptr) request.trace = std::make_shared<CallTrace>();
    return request;
  }

  static ByteView BytesOf(const std::string& text) { return AsBytes(text); }
  static ByteView BytesOf(const ByteBuffer& bytes) { return bytes; }

  template <class List>
  static Status AddAll(Result<Partial<List>> found, rpc::SelectReply& reply) {
    if (!found.ok()) return std::move(found).error();
    for (const auto& item : found.value().value) reply.AddItem(BytesOf(item));
    return Ok();
  }

  awaitable<Status> Ask(rpc::SearchRequest, FanoutRequest, rpc::SelectReply&) { co_return Ok(); }
  awaitable<Status> Ask(rpc::SearchMetricNamesRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    co_return AddAll(co_await fanout.SearchMetricNames(std::move(r.query), std::move(request)), reply);
  }
  awaitable<Status> Ask(rpc::LabelNamesRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    const uint32_t limit = LimitOf(r.max_names, options.max_tag_keys);
    co_return AddAll(co_await fanout.LabelNames(std::move(r.query), limit, std::move(request)), reply);
  }
  awaitable<Status> Ask(rpc::LabelValuesRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    const uint32_t limit = LimitOf(r.max_values, options.max_tag_values);
    co_return AddAll(co_await fanout.LabelValues(std::move(r.label_name), std::move(r.query), limit, std::move(request)), reply);
  }
  awaitable<Status> Ask(rpc::TagValueSuffixesRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    r.max_suffixes = LimitOf(r.max_suffixes, options.max_tag_value_suffixes);
    co_return AddAll(co_await fanout.TagValueSuffixes(std::move(r), std::move(request)), reply);
  }
  awaitable<Status> Ask(rpc::SeriesCountRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    VM_CO_ASSIGN_OR_RETURN(const auto count, co_await fanout.SeriesCount(r.tenant, std::move(request)));
    reply.number = count.value;
    co_return Ok();
  }
  awaitable<Status> Ask(rpc::SearchMetadataRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    VM_CO_ASSIGN_OR_RETURN(const auto rows,
                           co_await fanout.SearchMetadata(r.tenant, r.limit, std::move(r.metric_name), std::move(request)));
    ByteBuffer packed;
    for (const auto& row : rows.value) {
      packed.clear();
      model::AppendMetadataRow(packed, row);
      reply.AddItem(packed);
    }
    co_return Ok();
  }
  awaitable<Status> Ask(rpc::TsdbStatusRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    VM_CO_ASSIGN_OR_RETURN(const auto status, co_await fanout.TsdbStatus(std::move(r), std::move(request)));
    ByteBuffer packed;
    rpc::MarshalTsdbStatus(packed, status.value);
    reply.AddItem(packed);
    co_return Ok();
  }
  awaitable<Status> Ask(rpc::DeleteSeriesRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    const auto deleted = co_await fanout.DeleteSeries(std::move(r.query), std::move(request));
    // After an error some nodes may have deleted what they have.
    if ((!deleted.ok() || deleted.value() > 0) && options.on_deletion) options.on_deletion();
    if (!deleted.ok()) co_return deleted.error();
    reply.number = deleted.value();
    co_return Ok();
  }
  awaitable<Status> Ask(rpc::RegisterMetricNamesRequest r, FanoutRequest request, rpc::SelectReply&) {
    co_return co_await fanout.RegisterMetricNames(std::move(r), std::move(request));
  }
  awaitable<Status> Ask(rpc::TenantsRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    VM_CO_ASSIGN_OR_RETURN(const auto tenants, co_await fanout.Tenants(r.time_range, std::move(request)));
    for (const auto& tenant : tenants) reply.AddItem(AsBytes(fmt::format("{}:{}", tenant.account_id, tenant.project_id)));
    co_return Ok();
  }
  awaitable<Status> Ask(rpc::MetricNamesUsageStatsRequest r, FanoutRequest request, rpc::SelectReply& reply) {
    VM_CO_ASSIGN_OR_RETURN(const auto stats, co_await fanout.UsageStats(std::move(r), std::move(request)));
    ByteBuffer packed;
    rpc::MarshalMetricNamesUsageStats(packed, stats);
    reply.AddItem(packed);
    co_return Ok();
  }
  awaitable<Status> Ask(rpc::ResetMetricNamesStatsRequest, FanoutRequest request, rpc::SelectReply&) {
    co_return co_await fanout.ResetUsageStats(std::move(request));
  }

  awaitable<void> Serve(net::Stream& stream) { co_await rpc_server.Serve(std::make_unique<net::BorrowedStream>(stream)); }

  const Options options;
  Fanout& fanout;
  Budget& memory;
  std::stop_source stop;
  rpc::SelectServer rpc_server;
  std::unique_ptr<net::TcpServer> tcp_server;
};

Result<std::unique_ptr<ClusterNativeServer>> ClusterNativeServer::Start(net::Runtime& runtime, Options options, Fanout& fanout,
                                                                        Budget& memory, metrics::Registry& registry) {
  auto impl = std::make_unique<Impl>(std::move(options), fanout, memory, registry);
  net::TcpServer::Options tcp;
  tcp.name = "vmselect";
  tcp.addr = impl->options.addr;
  tcp.enable_tcp6 = impl->options.enable_tcp6;
  tcp.registry = &registry;
  VM_LOG_INFO("starting vmselectapi server at \"{}\"", tcp.addr);
  VM_ASSIGN_OR_RETURN(impl->tcp_server, net::TcpServer::Start(runtime, std::move(tcp), [raw = impl.get()](net::Stream& stream) {
                        return raw->Serve(stream);
                      }));
  VM_LOG_INFO("started vmselectapi server at \"{}\"", impl->tcp_server->addr());
  VM_LOG_INFO("accepting vmselect conns at {}", impl->tcp_server->addr());
  return std::unique_ptr<ClusterNativeServer>(new ClusterNativeServer(std::move(impl)));
}

ClusterNativeServer::ClusterNativeServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ClusterNativeServer::~ClusterNativeServer() { Stop(); }

std::string ClusterNativeServer::addr() const { return impl_->tcp_server->addr(); }

void ClusterNativeServer::Stop() {
  impl_->stop.request_stop();
  if (impl_->tcp_server != nullptr) impl_->tcp_server->Stop();
}

}  // namespace vm::select
