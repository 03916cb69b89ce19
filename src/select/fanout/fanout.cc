#include "select/fanout/fanout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <charconv>
#include <chrono>
#include <iterator>
#include <set>
#include <variant>

#include "lib/base/mutex.h"
#include "lib/hash/xxhash.h"
#include "lib/log/log.h"
#include "lib/net/event.h"
#include "select/fanout/block_collector.h"
#include "select/fanout/gather_rules.h"
#include "select/fanout/merge_stats.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
namespace asio = boost::asio;

// What one streamed search holds in its queue, and once more while it is consumed. A node sends 64 KiB at once.
constexpr size_t kStreamedBytes = 512 << 10;
constexpr size_t kMinStreamedBytes = 64 << 10;  // When there is little memory.

// Keeps a reply and charges it: for its bytes twice, as they become texts, and for what stands around each text.
class ReplySink : public rpc::ItemSink {
 public:
  explicit ReplySink(std::shared_ptr<HeldMemory> held) : held_(std::move(held)) {}

  Status Add(ByteView item) override {
    constexpr int64_t kPiece = 4 << 10;
    const int64_t bytes = 2 * static_cast<int64_t>(item.size()) + 128;
    if (left_ < bytes) {
      const int64_t taken = std::max(bytes, kPiece);
      VM_TRY(held_->Take(taken));
      left_ += taken;
    }
    left_ -= bytes;
    reply_.AddItem(item);
    return Ok();
  }
  /// The items into `reply`.
  void MoveTo(rpc::SelectReply& reply) {
    reply.bytes = std::move(reply_.bytes);
    reply.items = std::move(reply_.items);
  }

 private:
  const std::shared_ptr<HeldMemory> held_;
  rpc::SelectReply reply_;
  int64_t left_ = 0;  // Taken and not used.
};

// The calls of one request. Lives as long as its last call, which may end after the request did.
struct Calls {
  struct Arrival {
    size_t node;
    rpc::CallResult result;  // What it said.
    double duration_ms;
  };

  Calls(std::vector<rpc::SelectArgs> args_, const Deadline& request_deadline, std::vector<std::shared_ptr<rpc::ItemSink>> sinks_,
        size_t calls_count)
      : args(std::move(args_)), sinks(std::move(sinks_)), deadline(request_deadline.at(), stop.get_token()) {
    arrived.reserve(calls_count);  // A call that ends for want of memory needs none to say so.
  }

  void Add(size_t node, rpc::CallResult result, double duration_ms) VM_EXCLUDES(mutex) {
    {
      MutexLock lock(mutex);
      arrived.push_back({node, std::move(result), duration_ms});
    }
    wake.Set();
  }
  /// The next answer, in order of arrival, if it is there.
  std::optional<Arrival> Take() VM_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    if (taken == arrived.size()) return std::nullopt;
    return std::move(arrived[taken++]);
  }

  const rpc::SelectArgs& ArgsOf(size_t node) const { return args.size() == 1 ? args[0] : args[node]; }

  const std::vector<rpc::SelectArgs> args;                  // For all nodes, or one per node.
  const std::vector<std::shared_ptr<rpc::ItemSink>> sinks;  // None, or one per node.
  std::stop_source stop;                                    // Breaks the calls off.
  const Deadline deadline;
  net::Event wake;  // Something has arrived, or the request is stopped.
  Mutex mutex;
  std::vector<Arrival> arrived VM_GUARDED_BY(mutex);
  size_t taken VM_GUARDED_BY(mutex) = 0;
  bool is_traced = false;  // Fixed before the calls start.
};

awaitable<void> CallNode(std::shared_ptr<Calls> calls, std::shared_ptr<rpc::SelectClient> client,
                         size_t node) {
  // Also when the coroutine is destroyed early: nobody must wait for ever.
  struct Outcome {
    Calls& calls;
    const size_t node;
    rpc::CallResult result{rpc::CallOutcome::kNoConnection, "the call has ended without an answer", {}, {}};
    const std::chrono::steady_clock::time_point from = std::chrono::steady_clock::now();
    ~Outcome() {
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - from;
      calls.Add(node, std::move(result), took.count());
    }
  } outcome{*calls, node};
  std::shared_ptr<rpc::ItemSink> sink;
  if (!calls->sinks.empty()) sink = calls->sinks[node];
  std::string exception;
  try {
    outcome.result = co_await client->Call(calls->ArgsOf(node), calls->deadline, std::move(sink), calls->is_traced);
  } catch (const std::exception& e) {
    // Out of memory, or a mistake of ours: the request ends with an error instead of waiting for this node.
    exception = e.what();
    if (exception.empty()) exception = "unknown exception";
  }
  if (!exception.empty()) {
    rpc::CallResult& result = outcome.result;
    result.outcome = rpc::CallOutcome::kRefused;
    result.message = fmt::format("cannot execute funcName=\"{}\" on vmstorage \"{}\": exception: {}", rpc::MethodOf(calls->args[0]).name, client->addr(),
                                 exception);
    result.refusal = Error(ErrorCode::kLimitExceeded, result.message);
    VM_LOG_ERROR("{}", result.message);
  }
}

// Breaks the calls off when nobody waits for them anymore.
struct StopCalls {
  Calls& calls;
  ~StopCalls() { calls.stop.request_stop(); }
};

bool IsFatal(const rpc::CallResult& result) {
  // A node that is too busy, or a lower vmselect that misses nodes, counts as missing.
  return result.outcome == rpc::CallOutcome::kRemoteError &&
         result.reply.error.find("search.maxConcurrentRequests") == std::string::npos &&
         result.reply.error.find("vmselectClusterNative") == std::string::npos;
}

// What stands in front of errors, as in the reference. By index of the call in rpc::SelectArgs.
struct CallTexts {
  std::string_view of_node;  // Before the address; may be empty.
  std::string_view of_all;   // May be empty.
};
constexpr std::array<CallTexts, std::variant_size_v<rpc::SelectArgs>> kCallTexts = {{
    {"cannot perform search on vmstorage", "cannot fetch query results from vmstorage nodes"},
    {"cannot search metric names on vmstorage", "cannot fetch metric names from vmstorage nodes"},
    {"cannot get labels from vmstorage", "cannot fetch labels from vmstorage nodes"},
    {"cannot get label values from vmstorage", "cannot fetch label values from vmstorage nodes"},
    {"cannot get series count from vmstorage", "cannot fetch series count from vmstorage nodes"},
    {"cannot get metrics metadata from vmstorage", "cannot fetch metrics metadata from vmstorage nodes"},
    {"cannot get tag value suffixes from vmstorage", "cannot fetch tag value suffixes from vmstorage nodes"},
    {"cannot obtain tsdb status from vmstorage", "cannot fetch tsdb status from vmstorage nodes"},
    {"", "cannot delete time series on all the vmstorage nodes"},
    {"", "cannot register series on all the vmstorage nodes"},
    {"cannot get tenants from vmstorage", "cannot fetch tenants from vmstorage nodes"},
    {"", ""},
    {"", ""},
}};

std::string WithCallTexts(const rpc::SelectArgs& args, const std::string& addr, std::string message) {
  const CallTexts& texts = kCallTexts[args.index()];
  if (!texts.of_node.empty()) message.insert(0, fmt::format("{} {}: ", texts.of_node, addr));
  if (!texts.of_all.empty()) message.insert(0, fmt::format("{}: ", texts.of_all));
  return message;
}

// What a failed call means for the whole request, if it ends it at once.
std::optional<Error> FatalError(const rpc::CallResult& result) {
  if (result.refusal) return *result.refusal;
  if (!IsFatal(result)) return std::nullopt;
  // Users are told by the text what to do about it.
  const bool outside = result.reply.error.find("denyQueriesOutsideRetention") != std::string::npos;
  return Error(outside ? ErrorCode::kUnavailable : ErrorCode::kInvalidInput, result.message);
}

// The items of all replies, each once, in byte order.
template <class Item>
std::vector<Item> SortedUnion(const std::vector<rpc::SelectReply>& replies, uint32_t limit) {
  std::vector<std::string_view> all;
  size_t count = 0;
  for (const auto& reply : replies) count += reply.size();
  all.reserve(count);
  for (const auto& reply : replies) {
    for (size_t i = 0; i < reply.size(); ++i) all.push_back(AsText(reply.item(i)));
  }
  // One node's are mostly in order.
  if (!std::is_sorted(all.begin(), all.end())) std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (limit > 0 && all.size() > limit) all.resize(limit);
  std::vector<Item> result;
  result.reserve(all.size());
  for (const std::string_view item : all) result.emplace_back(item.begin(), item.end());
  return result;
}

// "accountID:projectID"
Result<model::Tenant> ParseTenantText(std::string_view text) {
  model::Tenant tenant;
  const char* const end = text.data() + text.size();
  const auto account = std::from_chars(text.data(), end, tenant.account_id);
  bool is_good = account.ec == std::errc() && account.ptr != end && *account.ptr == ':';
  if (is_good) {
    const auto project = std::from_chars(account.ptr + 1, end, tenant.project_id);
    is_good = project.ec == std::errc() && project.ptr == end;
  }
  if (!is_good) return Error(ErrorCode::kCorrupted, fmt::format("cannot parse tenant \"{}\"", text));
  return tenant;
}

}  // namespace

Fanout::Fanout(net::Runtime& runtime, const rpc::NodeSet& nodes, FanoutOptions options)
    : runtime_(runtime),
      nodes_(nodes),
      options_(std::move(options)),
      read_metrics_(options_.registry == nullptr ? nullptr : std::make_unique<ReadMetrics>(*options_.registry)) {
  rpc::SelectClientOptions client_options = options_.client;
  client_options.registry = options_.registry;
  for (const auto& node : nodes_.nodes()) {
    clients_.push_back(std::make_shared<rpc::SelectClient>(runtime_, node.addr, client_options));
  }
  if (options_.registry == nullptr) return;
  // In the order of rpc::SelectArgs, up to the last call that may be partial.
  for (const std::string_view action : {"search", "searchMetricNames", "labelNames", "labelValues", "seriesCount", "metadata",
                                        "tagValueSuffixes", "tsdbStatus"}) {
    partial_results_.push_back(
        &options_.registry->GetCounter(fmt::format("vm_partial_results_total{{action=\"{}\", name=\"vmselect\"}}", action)));
  }
}

Fanout::~Fanout() = default;

void Fanout::CountPartial(const rpc::SelectArgs& args) {
  if (args.index() < partial_results_.size()) partial_results_[args.index()]->Inc();
}

size_t Fanout::ReplicationFactorOf(const std::string& group) const {
  const auto found = options_.group_replication.find(group);
  const size_t factor = found == options_.group_replication.end() ? options_.replication_factor
                                                                  : found->second;
  return std::max<size_t>(1, factor);
}

awaitable<Result<Fanout::Gathered>> Fanout::Gather(rpc::SelectArgs args, FanoutRequest request, Sinks sinks) {
  std::vector<rpc::SelectArgs> one;
  one.push_back(std::move(args));
  return GatherEach(std::move(one), std::move(request), std::move(sinks));
}

awaitable<Result<Fanout::Gathered>> Fanout::GatherEach(std::vector<rpc::SelectArgs> args, FanoutRequest request, Sinks sinks) {
  const auto home = co_await asio::this_coro::executor;
  std::vector<std::shared_ptr<ReplySink>> reply_sinks;
  if (sinks.empty() && request.held != nullptr) {
    for (size_t i = 0; i < clients_.size(); ++i) reply_sinks.push_back(std::make_shared<ReplySink>(request.held));
    sinks.assign(reply_sinks.begin(), reply_sinks.end());
  }
  auto calls = std::make_shared<Calls>(std::move(args), request.deadline, std::move(sinks), clients_.size());
  calls->is_traced = request.trace != nullptr;
  const StopCalls stop_calls{*calls};
  for (size_t i = 0; i < clients_.size(); ++i) {
    asio::co_spawn(home, CallNode(calls, clients_[i], i), [](std::exception_ptr failure) {
      if (failure) VM_LOG_ERROR("a call to a storage node ended with an exception");
    });
  }
  const auto wake = [calls] { calls->wake.Set(); };
  const std::stop_callback on_stop(request.deadline.stop_token(), wake);

  const bool deny = request.deny_partial || options_.deny_partial_response;
  GatherRules rules(nodes_, [this](const std::string& group) { return ReplicationFactorOf(group); }, options_.global_replication_factor);
  Gathered gathered;
  std::optional<Error> fatal;
  std::string first_error;
  for (size_t seen = 0; seen < clients_.size() && !fatal;) {
    if (request.deadline.Cancelled()) {
      fatal = Error(ErrorCode::kCancelled, "the request has been cancelled");
      break;
    }
    auto arrival = calls->Take();
    if (!arrival) {
      co_await calls->wake.Wait();
      continue;
    }
    ++seen;
    auto& [node, result, duration_ms] = *arrival;
    const std::string& group = nodes_.nodes()[node].group;
    if (result.outcome != rpc::CallOutcome::kOk) {
      result.message = WithCallTexts(calls->args[0], nodes_.nodes()[node].addr, std::move(result.message));
    }
    if (request.trace != nullptr) {
      request.trace->nodes.push_back(
          {nodes_.nodes()[node].addr, std::string(rpc::MethodOf(calls->args[0]).name), duration_ms, result.message, result.reply.trace});
    }
    if (result.outcome == rpc::CallOutcome::kOk) {
      if (!reply_sinks.empty()) reply_sinks[node]->MoveTo(result.reply);
      gathered.replies.push_back(std::move(result.reply));
      gathered.nodes.push_back(node);
      rules.CountSuccess(group);
      if (options_.skip_slow_replicas && rules.IsCompleteAlready()) break;
      continue;
    }
    fatal = FatalError(result);
    if (!fatal && request.needs_all) fatal = Error(ErrorCode::kUnavailable, result.message);
    if (first_error.empty()) first_error = result.message;
    rules.CountFailure(group);
    if (!fatal && deny && rules.IsIncomplete()) fatal = Error(ErrorCode::kUnavailable, result.message);
  }
  if (!fatal && rules.IsIncomplete()) {
    if (deny || gathered.replies.empty()) {
      fatal = Error(ErrorCode::kUnavailable, first_error);
    } else {
      gathered.is_partial = true;
      CountPartial(calls->args[0]);
      VM_LOG_WARN("partial response: {} of {} storage nodes answered; first error: {}",
                  gathered.replies.size(), clients_.size(), first_error);
    }
  }
  if (fatal) co_return std::move(*fatal);
  co_return std::move(gathered);
}

awaitable<Result<Partial<PackedSeries>>> Fanout::Search(model::SearchQuery query, FanoutRequest request) {
  // Nodes do not store samples before 1970.
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  PackedSeries::Options options;
  options.range = query.time_range;
  options.dedup_interval_ms = options_.dedup_interval_ms;
  options.max_samples_per_series = options_.max_samples_per_series;
  options.metrics = read_metrics_.get();
  auto limits = std::make_shared<SearchLimits>();
  limits->max_samples = options_.max_samples_per_query;
  limits->budget = request.budget;
  std::vector<std::shared_ptr<BlockCollector>> collectors;
  // Calls that are broken off may outlive the request: they own what they write to.
  Sinks sinks;
  for (size_t i = 0; i < clients_.size(); ++i) {
    collectors.push_back(std::make_shared<BlockCollector>(limits));
    sinks.push_back(collectors.back());
  }
  rpc::SearchRequest search;
  search.query = std::move(query);
  rpc::SelectArgs args(std::move(search));
  auto gathered = co_await Gather(std::move(args), std::move(request), std::move(sinks));
  if (!gathered.ok()) {
    // Limits explain themselves.
    if (gathered.error().code() == ErrorCode::kLimitExceeded) co_return std::move(gathered).error();
    co_return std::move(gathered).error().WithContext("error occured during search");
  }
  std::vector<std::shared_ptr<const BlockCollector>> complete;
  for (const size_t node : gathered.value().nodes) {
    if (read_metrics_ != nullptr) read_metrics_->packed_bytes.Update(static_cast<double>(collectors[node]->packed_bytes()));
    complete.push_back(std::move(collectors[node]));
  }
  Partial<PackedSeries> result;
  result.value = PackedSeries(options, std::move(complete));
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

/// A search whose blocks are taken while it runs.
struct Fanout::Streamed {
  std::shared_ptr<BlockQueue> queue;
  std::stop_source stop;
  // Written before the queue ends.
  std::optional<Error> error;
  bool is_partial = false;
};

awaitable<void> Fanout::GatherInto(rpc::SelectArgs args, FanoutRequest request, std::shared_ptr<Streamed> streamed) {
  auto gathered = co_await Gather(std::move(args), std::move(request), Sinks(clients_.size(), streamed->queue));
  if (gathered.ok()) streamed->is_partial = gathered.value().is_partial;
  else streamed->error = std::move(gathered).error();
  streamed->queue->End();
}

awaitable<Result<bool>> Fanout::StreamBlocks(model::SearchQuery query, FanoutRequest request, BlockConsumer& consumer) {
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  // One batch fills while the other is consumed.
  size_t queue_bytes = kStreamedBytes;
  std::optional<BudgetShare> share;
  if (request.budget != nullptr) {
    share.emplace(*request.budget);
    if (!share->Take(2 * static_cast<int64_t>(queue_bytes)).ok()) {
      queue_bytes = kMinStreamedBytes;
      VM_CO_TRY(share->Take(2 * static_cast<int64_t>(queue_bytes)));
    }
  }
  auto streamed = std::make_shared<Streamed>();
  streamed->queue = std::make_shared<BlockQueue>(runtime_.MakeStrand(), queue_bytes);
  const auto request_stop = [streamed] {
    streamed->stop.request_stop();
    streamed->queue->Close();
  };
  const std::stop_callback on_stop(request.deadline.stop_token(), request_stop);
  rpc::SearchRequest search;
  search.query = std::move(query);
  rpc::SelectArgs args(std::move(search));
  FanoutRequest inner = request;
  inner.deadline = Deadline(request.deadline.at(), streamed->stop.get_token());
  asio::co_spawn(runtime_.MakeStrand(), GatherInto(std::move(args), std::move(inner), streamed), [streamed](std::exception_ptr failure) {
    if (!failure) return;
    streamed->error = Error(ErrorCode::kLimitExceeded, "an exception ended the search");
    streamed->queue->End();
  });
  Status consumed = Ok();
  std::exception_ptr thrown;
  BlockBatch batch;
  for (;;) {
    const bool has_blocks = co_await streamed->queue->Take(batch);
    if (!has_blocks) break;
    if (!consumed.ok() || thrown || request.deadline.Cancelled()) continue;
    try {
      consumed = co_await consumer.Consume(batch);
    } catch (...) {
      thrown = std::current_exception();
    }
    if (!consumed.ok() || thrown) request_stop();
  }
  if (thrown) std::rethrow_exception(thrown);
  if (!consumed.ok()) co_return std::move(consumed).error();
  if (streamed->error) co_return std::move(*streamed->error);
  // Blocks may have been thrown away: what was consumed is not the whole.
  if (request.deadline.Cancelled()) co_return Error(ErrorCode::kCancelled, "the request has been cancelled");
  co_return streamed->is_partial;
}

awaitable<Result<Partial<std::vector<ByteBuffer>>>> Fanout::SearchMetricNames(
    model::SearchQuery query, FanoutRequest request_options) {
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  rpc::SearchMetricNamesRequest request;
  request.query = std::move(query);
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(request_options), {});
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<std::vector<ByteBuffer>> result;
  result.value = SortedUnion<ByteBuffer>(gathered.value().replies, 0);
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<std::vector<std::string>>>> Fanout::LabelNames(model::SearchQuery query,
                                                                        uint32_t limit,
                                                                        FanoutRequest request_options) {
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  rpc::LabelNamesRequest request;
  request.query = std::move(query);
  request.max_names = limit;
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(request_options), {});
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<std::vector<std::string>> result;
  result.value = SortedUnion<std::string>(gathered.value().replies, limit);
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<std::vector<std::string>>>> Fanout::LabelValues(
    std::string label_name, model::SearchQuery query, uint32_t limit, FanoutRequest request_options) {
  query.time_range.min_timestamp = std::max<int64_t>(0, query.time_range.min_timestamp);
  rpc::LabelValuesRequest request;
  request.label_name = std::move(label_name);
  request.query = std::move(query);
  request.max_values = limit;
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(request_options), {});
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<std::vector<std::string>> result;
  result.value = SortedUnion<std::string>(gathered.value().replies, limit);
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<uint64_t>>> Fanout::SeriesCount(model::Tenant tenant, FanoutRequest request_options) {
  rpc::SeriesCountRequest request;
  request.tenant = tenant;
  rpc::SelectArgs args(request);
  auto gathered = co_await Gather(std::move(args), std::move(request_options), {});
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<uint64_t> result;
  for (const auto& reply : gathered.value().replies) result.value += reply.number;
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<std::vector<model::MetadataRow>>>> Fanout::SearchMetadata(
    std::optional<model::Tenant> tenant, uint32_t limit, std::string metric_name, FanoutRequest request_options) {
  rpc::SearchMetadataRequest request;
  request.tenant = tenant;
  request.limit = limit;
  request.metric_name = std::move(metric_name);
  rpc::SelectArgs args(std::move(request));
  auto gathered = co_await Gather(std::move(args), std::move(request_options), {});
  if (!gathered.ok()) co_return std::move(gathered).error();
  Partial<std::vector<model::MetadataRow>> result;
  for (const auto& reply : gathered.value().replies) {
    for (size_t i = 0; i < reply.size(); ++i) {
      ByteView rest = reply.item(i);
      auto row = model::TakeMetadataRow(rest);
      if (!row.ok()) co_return std::move(row).error();
      if (!rest.empty()) {
        co_return Error(ErrorCode::kCorrupted, "bytes left after a metadata row");
      }
      result.value.push_back(std::move(row).value());
    }
  }
  result.is_partial = gathered.value().is_partial;
  co_return std::move(result);
}

awaitable<Result<Partial<model::TsdbStatus>>> Fanout::TsdbStatus(rpc::TsdbStatusRequest status_args, FanoutRequest request) {
  const size_t top_n = status_args.top_n;
  rpc::SelectArgs args(std::move(status_args));
  VM_CO_ASSIGN_OR_RETURN(const auto gathered, co_await Gather(std::move(args), std::move(request), {}));
  std::vector<model::TsdbStatus> statuses;
  for (const auto& reply : gathered.replies) {
    for (size_t i = 0; i < reply.size(); ++i) {
      VM_CO_ASSIGN_OR_RETURN(auto status, rpc::UnmarshalTsdbStatus(reply.item(i)));
      statuses.push_back(std::move(status));
    }
  }
  Partial<model::TsdbStatus> result;
  result.value = MergeTsdbStatus(std::move(statuses), top_n);
  result.is_partial = gathered.is_partial;
  co_return std::move(result);
}

awaitable<Result<std::vector<model::Tenant>>> Fanout::Tenants(model::TimeRange range, FanoutRequest request) {
  request.deny_partial = true;
  rpc::TenantsRequest tenants_args;
  tenants_args.time_range = range;
  rpc::SelectArgs args(tenants_args);
  VM_CO_ASSIGN_OR_RETURN(const auto gathered, co_await Gather(std::move(args), std::move(request), {}));
  std::set<model::Tenant> tenants;
  for (const auto& text : SortedUnion<std::string>(gathered.replies, 0)) {
    VM_CO_ASSIGN_OR_RETURN(const auto tenant, ParseTenantText(text));
    tenants.insert(tenant);
  }
  co_return std::vector<model::Tenant>(tenants.begin(), tenants.end());
}

awaitable<Result<uint64_t>> Fanout::DeleteSeries(model::SearchQuery query, FanoutRequest request) {
  request.needs_all = true;
  rpc::DeleteSeriesRequest delete_args;
  delete_args.query = std::move(query);
  rpc::SelectArgs args(std::move(delete_args));
  VM_CO_ASSIGN_OR_RETURN(const auto gathered, co_await Gather(std::move(args), std::move(request), {}));
  uint64_t count = 0;
  for (const auto& reply : gathered.replies) count += reply.number;
  co_return count;
}

awaitable<Result<model::MetricNamesUsageStats>> Fanout::UsageStats(rpc::MetricNamesUsageStatsRequest stats_args, FanoutRequest request) {
  request.needs_all = true;
  rpc::SelectArgs args(std::move(stats_args));
  VM_CO_ASSIGN_OR_RETURN(const auto gathered, co_await Gather(std::move(args), std::move(request), {}));
  std::vector<model::MetricNamesUsageStats> stats;
  for (const auto& reply : gathered.replies) {
    for (size_t i = 0; i < reply.size(); ++i) {
      VM_CO_ASSIGN_OR_RETURN(auto one, rpc::UnmarshalMetricNamesUsageStats(reply.item(i)));
      stats.push_back(std::move(one));
    }
  }
  co_return MergeUsageStats(std::move(stats));
}

awaitable<Status> Fanout::ResetUsageStats(FanoutRequest request) {
  request.needs_all = true;
  rpc::SelectArgs args{rpc::ResetMetricNamesStatsRequest()};
  const auto gathered = co_await Gather(std::move(args), std::move(request), {});
  if (!gathered.ok()) co_return gathered.error();
  co_return Ok();
}

awaitable<Result<Partial<std::vector<std::string>>>> Fanout::TagValueSuffixes(rpc::TagValueSuffixesRequest suffixes_args,
                                                                              FanoutRequest request) {
  rpc::SelectArgs args(std::move(suffixes_args));
  VM_CO_ASSIGN_OR_RETURN(const auto gathered, co_await Gather(std::move(args), std::move(request), {}));
  Partial<std::vector<std::string>> result;
  result.value = SortedUnion<std::string>(gathered.replies, 0);
  result.is_partial = gathered.is_partial;
  co_return std::move(result);
}

awaitable<Status> Fanout::RegisterMetricNames(rpc::RegisterMetricNamesRequest register_args, FanoutRequest request) {
  request.needs_all = true;
  std::vector<rpc::RegisterMetricNamesRequest> per_node(clients_.size());
  for (auto& name : register_args.names) {
    // Not where vminsert would place it: any node will do.
    const size_t node = per_node.size() == 1 ? 0 : hash::XXH64(name.metric_name_raw) % per_node.size();
    per_node[node].names.push_back(std::move(name));
  }
  std::vector<rpc::SelectArgs> args(std::make_move_iterator(per_node.begin()), std::make_move_iterator(per_node.end()));
  const auto gathered = co_await GatherEach(std::move(args), std::move(request), {});
  if (!gathered.ok()) co_return gathered.error();
  co_return Ok();
}

}  // namespace vm::select
