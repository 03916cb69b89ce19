// Paths, times and arguments of query requests: what is taken is within its limits.
#include "lib/bytes/fuzz.h"
#include "lib/metricsql/ast.h"
#include "select/http/args.h"
#include "select/http/filters.h"
#include "select/http/path.h"
#include "select/http/query_args.h"
#include "select/http/search_args.h"
#include "select/http/tenant_filters.h"
#include "select/http/time_arg.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::select;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("0/select/42:7/prometheus/api/v1/query", "0//select//multitenant//x//y///z", "11.784144612388e9", "1now-1h5m",
              "12019-07-07T20:01:02.123-02:30", "1-292273086-05-16T16:47:06Z", "1+1562529662.678", "21h5m", "21.5e3",
              "3query=up&time=1.5&step=5m&round_digits=3&max_lookback=1h&nocache=1&start=now-1d&end=2020&match[]={a=\"b\"}",
              "3query=x&start=1562529662&end=1562529962.5&step=0.5&extra_label=a=b&extra_filters[]={c=~\"d|e\" or f!~\"g\"}",
              "4{vm_account_id=\"1\",a=\"b\" or vm_project_id=~\"2.*\",c!=\"d\"}")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kNowMs = 1'700'000'000'123;
  constexpr int64_t kMaxTimeMs = 9'223'372'036'854;
  ByteView src(data, size);
  const size_t choice = fuzz::TakeChoice(src, 5);
  const std::string_view text = AsText(src);
  switch (choice) {
    case 0:
      for (const bool from_headers : {false, true}) {
        const auto path = ParseSelectPath(text, from_headers, "1", "");
        if (!path.ok()) continue;
        Require(path.value().suffix.size() <= text.size());
        static_cast<void>(ParseTenant(path.value().tenant).ok());
      }
      break;
    case 1: {
      const auto ms = ParseTimeArg("time", text, 1234, kNowMs);
      if (ms.ok()) Require(ms.value() >= 0 && ms.value() <= kMaxTimeMs);
      static_cast<void>(ParseUnixTimestampNs(text));
      break;
    }
    case 2: {
      const auto ms = ParseDurationArg("step", text, 300'000);
      if (ms.ok()) Require(ms.value() >= 1 && ms.value() <= 3'153'600'000'000);
      static_cast<void>(ParseIntArg("limit", text).ok());
      ParseBoolArg(text);
      break;
    }
    case 3: {
      const http::Args args = http::ParseQuery(text);
      const http::Args none;
      const ApiOptions options;
      for (const http::Args* url_args : {&args, &none}) {
        const auto instant = ParseInstantArgs(options, *url_args, args, kNowMs);
        if (instant.ok()) Require(instant.value().step >= 1);
        auto range = ParseRangeArgs(options, *url_args, args, kNowMs);
        if (range.ok()) {
          RangeArgs& r = range.value();
          Require(r.step >= 1 && r.start >= 0 && r.end <= kMaxTimeMs);
          if (r.start <= r.end) {
            AlignRange(r.start, r.end, r.step);
            Require(r.start <= r.end);
          }
        }
        for (const SearchKind kind : {SearchKind::kSeries, SearchKind::kLabels}) {
          const auto search = ParseSearchArgs(options, *url_args, args, kNowMs, kind, kind == SearchKind::kSeries);
          static_cast<void>(search.ok());
        }
      }
      break;
    }
    default: {
      const auto groups = ParseSelector(text);
      if (!groups.ok()) break;
      const SplitFilters split = SplitTenantFilters(groups.value());
      Require(split.tenants.size() <= groups.value().size() && split.series.size() <= groups.value().size());
      const model::Tenant tenants[] = {{0, 0}, {1, 2}, {42, 7}};
      const auto matching = MatchTenants(tenants, split.tenants);
      if (matching.ok()) Require(matching.value().size() <= std::size(tenants));
      Require(JoinFilters(groups.value(), {{{"x", "y"}}}).size() == groups.value().size());
    }
  }
  return 0;
}
