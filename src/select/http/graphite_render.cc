#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "select/graphite/paths.h"
#include "select/graphite/render.h"
#include "select/graphite/time.h"
#include "select/http/args.h"
#include "select/http/filters.h"
#include "select/http/graphite.h"
#include "select/http/search_args.h"
#include "select/promql/transform_util.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
using graphite::EvalOptions;
using graphite::FetchedSeries;
using graphite::Selection;
using graphite::SeriesList;
using graphite::Window;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// What a request for graphs asks for.
struct RenderRequest {
  Window window;
  EvalOptions options;
  int64_t max_points = 0;  // 0: any.
  FilterGroups extra;
  Deadline deadline;
};

Result<int64_t> ParseTimeOr(const Call& call, std::string_view name, int64_t otherwise) {
  const std::string_view text = call.args.Get(name);
  if (text.empty()) return otherwise;
  auto time = graphite::ParseTime(text, call.now_ms);
  if (!time.ok()) return std::move(time).error().WithContext(fmt::format("cannot parse {}=\"{}\"", name, text));
  return time;
}

Result<int64_t> ParseStorageStep(const Call& call) {
  std::string_view text = call.args.Get("storage_step");
  if (text.empty()) text = call.headers.Get("Storage-Step");
  if (text.empty()) {
    const int64_t step = call.options.graphite_storage_step_ms;
    if (step <= 0) return Bad("the `-search.graphiteStorageStep` command-line flag value must be positive");
    return step;
  }
  auto step = graphite::ParseInterval(text);
  if (!step.ok()) return std::move(step).error().WithContext(fmt::format("cannot parse datapoints interval {}", text));
  if (step.value() <= 0) return Bad(fmt::format("storage_step cannot be negative; got {}", text));
  return step;
}

/// Up to the next step.
int64_t AlignUp(int64_t time, int64_t step) {
  const int64_t rest = time % step;
  return time - rest + (rest > 0 ? step : 0);
}

Result<RenderRequest> ParseRenderRequest(const Call& call) {
  constexpr int64_t kDayMs = 24 * 3600 * 1000;
  RenderRequest request;
  if (const std::string_view format = call.args.Get("format"); format != "json") {
    return Bad(fmt::format("unsupported format=\"{}\"; supported values: json", format));
  }
  if (const std::string_view text = call.args.Get("xFilesFactor"); !text.empty()) {
    const auto factor = transform::ParseGoFloat(text);
    if (!factor) return Bad(fmt::format("cannot parse xFilesFactor=\"{}\"", text));
    request.window.x_files_factor = *factor;
  }
  VM_ASSIGN_OR_RETURN(const int64_t start, ParseTimeOr(call, "from", call.now_ms - kDayMs));
  VM_ASSIGN_OR_RETURN(const int64_t end, ParseTimeOr(call, "until", call.now_ms));
  VM_ASSIGN_OR_RETURN(const int64_t step, ParseStorageStep(call));
  Window& window = request.window;
  window.start = AlignUp(start, step);
  window.end = AlignUp(end, step);
  if (window.end < window.start) {
    return Bad(fmt::format("from={} cannot exceed until={}", call.args.Get("from"), call.args.Get("until")));
  }
  if (const auto points = static_cast<uint64_t>((window.end - window.start) / step); points > call.options.max_graphite_points) {
    return Bad(fmt::format("too many points per series must be returned on the given [from={} ... until={}] time range and the given "
                           "storageStep={}: {}; either reduce the time range or increase -search.graphiteMaxPointsPerSeries={}",
                           call.args.Get("from"), call.args.Get("until"), step, points, call.options.max_graphite_points));
  }
  if (const std::string_view text = call.args.Get("maxDataPoints"); !text.empty()) {
    const auto number = transform::ParseGoFloat(text);
    if (!number || std::isnan(*number)) return Bad(fmt::format("cannot parse maxDataPoints={}", text));
    if (*number <= 0) return Bad(fmt::format("maxDataPoints must be greater than 0; got {:f}", *number));
    request.max_points = static_cast<int64_t>(std::min(*number, 1e9));
  }
  auto extra = ParseExtraFilters(call.url_args, call.args);
  if (!extra.ok()) return std::move(extra).error().WithContext("cannot setup tag filters");
  request.extra = std::move(extra).value();
  request.deadline = call.DeadlineOf(call.options.max_query_duration_ms);
  EvalOptions& options = request.options;
  options.storage_step = step;
  options.now_ms = call.now_ms;
  options.max_query_bytes = call.options.max_query_len;
  options.max_path_bytes = call.options.max_graphite_path_bytes;
  options.max_points_per_series = call.options.max_graphite_points;
  return request;
}

/// What one request holds until it is answered.
struct RenderState {
  FetchedSeries fetched;
  std::vector<std::shared_ptr<void>> held;  // Charges for what has been fetched.
  std::optional<graphite::Evaluator> evaluator;
};

/// The series of a selection on the grid of the storage step.
awaitable<Result<SeriesList>> FetchSeries(Call& call, const RenderRequest& request, RenderState& state, Selection selection) {
  const int64_t start = selection.range.min_timestamp;
  const int64_t end = selection.range.max_timestamp;
  const int64_t step = request.options.storage_step;
  model::SearchQuery query;
  query.tenant = call.tenant.value_or(model::Tenant());
  query.time_range = selection.range;
  query.tag_filter_groups = JoinFilters({std::move(selection.filters)}, request.extra);
  query.max_metrics = call.options.max_graphite_series;
  const std::string text = QuotedSearchQuery(query, false);
  auto found = co_await call.source.Search(std::move(query), request.deadline);
  if (!found.ok()) co_return std::move(found).error().WithContext("cannot fetch data for " + text);
  const uint64_t points = graphite::PointsCount(start, end, step);
  VM_CO_ASSIGN_OR_RETURN(auto held, call.source.Hold(found.value()->size() * points * sizeof(double)));
  state.held.push_back(std::move(held));
  std::vector<std::pair<std::string, graphite::Series>> series;
  std::mutex mutex;
  SeriesSet::Visit visit = [&](size_t, size_t, TimeSeries& from) -> Status {
    graphite::Series made;
    std::string path = graphite::CanonicalPath(from.name);
    made.tags = graphite::UnmarshalTags(path);
    const auto name = made.tags.find("name");
    if (name != made.tags.end()) made.name = name->second;
    made.values = graphite::SummarizeValues(from.timestamps, from.values, graphite::Average, start, end, step, 0);
    std::lock_guard lock(mutex);
    series.emplace_back(std::move(path), std::move(made));
    return Ok();
  };
  VM_CO_TRY(co_await found.value()->ForEach(std::move(visit)));
  // Nodes and threads give them in any order.
  std::sort(series.begin(), series.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  SeriesList list;
  for (auto& [path, one] : series) list.push_back(std::move(one));
  co_return std::move(list);
}

/// All targets. The evaluation says what it needs, which is fetched, until it needs nothing more.
awaitable<Result<SeriesList>> EvalTargets(Call& call, const RenderRequest& request, RenderState& state) {
  // Functions make queries of what queries have found; so deep that nobody does it.
  constexpr int kMaxRounds = 20;
  for (int round = 0; round < kMaxRounds; ++round) {
    // What it holds is charged anew in each round.
    graphite::Evaluator& evaluator = state.evaluator.emplace(request.options, state.fetched);
    SeriesList all;
    Status first = Ok();
    for (const std::string_view target : call.args.GetAll("target")) {
      auto list = evaluator.Run(target, request.window);
      if (!list.ok()) {
        if (first.ok()) first = std::move(list).error().WithContext(fmt::format("cannot eval target=\"{}\"", target));
        continue;
      }
      if (request.max_points > 0) graphite::LimitPoints(list.value(), request.window, request.max_points);
      std::move(list.value().begin(), list.value().end(), std::back_inserter(all));
    }
    std::vector<Selection> missing = state.fetched.TakeMissing();
    if (missing.empty()) {
      if (!first.ok()) co_return std::move(first).error();
      co_return std::move(all);
    }
    for (Selection& selection : missing) {
      const Selection key = selection;
      VM_CO_ASSIGN_OR_RETURN(SeriesList list, co_await FetchSeries(call, request, state, std::move(selection)));
      state.fetched.Put(key, std::move(list));
    }
  }
  co_return Bad("queries that make queries may nest " + std::to_string(kMaxRounds) + " deep");
}

awaitable<Result<std::string>> Render(Call& call) {
  VM_CO_ASSIGN_OR_RETURN(RenderRequest request, ParseRenderRequest(call));
  request.options.hold = [&call](uint64_t bytes) { return call.source.Hold(bytes); };
  request.options.check = [&request]() -> Status {
    if (request.deadline.Cancelled()) return Error(ErrorCode::kCancelled, "the request has been cancelled");
    if (request.deadline.Expired()) return Error(ErrorCode::kLimitExceeded, "timeout exceeded during query execution");
    return Ok();
  };
  RenderState state;
  VM_CO_ASSIGN_OR_RETURN(SeriesList list, co_await EvalTargets(call, request, state));
  co_return graphite::RenderResponse(std::move(list));
}

}  // namespace

awaitable<Answer> HandleGraphiteRender(Call& call) {
  auto json = co_await Render(call);
  if (!json.ok()) co_return PlainError(std::move(json).error().WithContext("error in \"" + call.path + "\""));
  const std::string_view jsonp = call.args.Get("jsonp");
  std::string body = graphite::WrapJsonp(std::move(json).value(), jsonp);
  co_return Answer{200, std::string(graphite::ContentTypeOf(jsonp)), std::move(body), {}, false};
}

}  // namespace vm::select
