#include "select/http/query_args.h"

#include <algorithm>

#include "select/http/args.h"

namespace vm::select {
namespace {

constexpr int64_t kDefaultStep = 300000;
constexpr int64_t kMinPointsForAlignment = 50;

Result<std::string> ParseQueryText(const ApiOptions& options, const http::Args& args) {
  const auto query = args.Get("query");
  if (query.empty()) return Error(ErrorCode::kInvalidInput, "missing `query` arg");
  if (query.size() > options.max_query_len) {
    return Error(ErrorCode::kInvalidInput, "too long query; got " + std::to_string(query.size()) + " bytes; mustn't exceed `-search.maxQueryLen=" +
                                               std::to_string(options.max_query_len) + "` bytes");
  }
  return std::string(query);
}

int ParseRoundDigits(const http::Args& args) {
  const auto text = args.Get("round_digits");
  const auto digits = ParseIntArg("round_digits", text);
  if (text.empty() || !digits.ok()) return 100;
  return static_cast<int>(std::clamp<int64_t>(digits.value(), -1000, 1000));
}

Status ParseCommon(const ApiOptions& options, const http::Args& url_args, const http::Args& args, QueryArgs& parsed) {
  VM_ASSIGN_OR_RETURN(parsed.query, ParseQueryText(options, args));
  VM_ASSIGN_OR_RETURN(parsed.lookback, ParseLookback(options, args));
  VM_ASSIGN_OR_RETURN(parsed.extra_filters, ParseExtraFilters(url_args, args));
  const int64_t latency_offset = std::max<int64_t>(0, options.latency_offset_ms);
  VM_ASSIGN_OR_RETURN(parsed.latency_offset, ParseDurationArg("latency_offset", args.Get("latency_offset"), latency_offset));
  parsed.no_cache = ParseBoolArg(args.Get("nocache"));
  parsed.round_digits = ParseRoundDigits(args);
  return Ok();
}

}  // namespace

Result<InstantArgs> ParseInstantArgs(const ApiOptions& options, const http::Args& url_args, const http::Args& args, int64_t now_ms) {
  InstantArgs parsed;
  VM_TRY(ParseCommon(options, url_args, args, parsed));
  VM_ASSIGN_OR_RETURN(parsed.time, ParseTimeArg("time", args.Get("time"), now_ms, now_ms));
  VM_ASSIGN_OR_RETURN(parsed.step, ParseDurationArg("step", args.Get("step"), parsed.lookback));
  if (parsed.step <= 0) parsed.step = kDefaultStep;
  return parsed;
}

Result<RangeArgs> ParseRangeArgs(const ApiOptions& options, const http::Args& url_args, const http::Args& args, int64_t now_ms) {
  RangeArgs parsed;
  VM_TRY(ParseCommon(options, url_args, args, parsed));
  VM_ASSIGN_OR_RETURN(parsed.start, ParseTimeArg("start", args.Get("start"), now_ms - kDefaultStep, now_ms));
  VM_ASSIGN_OR_RETURN(parsed.end, ParseTimeArg("end", args.Get("end"), now_ms, now_ms));
  VM_ASSIGN_OR_RETURN(parsed.step, ParseDurationArg("step", args.Get("step"), kDefaultStep));
  return parsed;
}

Result<int64_t> ParseLookback(const ApiOptions& options, const http::Args& args) {
  VM_ASSIGN_OR_RETURN(const int64_t lookback, ParseDurationArg("max_lookback", args.Get("max_lookback"), options.max_lookback_ms));
  if (!options.set_lookback_to_step) return lookback;
  return ParseDurationArg("step", args.Get("step"), lookback);
}

void AlignRange(int64_t& start, int64_t& end, int64_t step) {
  const int64_t points = (end - start) / step + 1;
  if (points < kMinPointsForAlignment) return;
  start -= start % step;
  if (end % step > 0) end += step - end % step;
  const int64_t surplus = (end - start) / step + 1 - points;
  if (surplus > 0) end -= surplus * step;
}

}  // namespace vm::select
