// Targets of the render API over a few series: what is evaluated has a time for each value, and what is printed reads back alike.
#include "lib/bytes/fuzz.h"
#include "select/graphite/eval.h"
#include "select/graphite/render.h"
#include "select/graphite/time.h"

using namespace vm;                    // NOLINT: one small program, nothing includes it
using namespace vm::select::graphite;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("0sumSeries(a.*,b)|scale(-1.5e3)|alias('x\\'y')", "0asPercent(a.*,sumSeries(a.*),1)", "0movingAverage(a.b,'30s',0.5)",
              "0timeStack(a.b,'1h',0,2)", "0holtWintersAberration(a.b,3,'1min','30s')", "0groupByNodes(a.*,'avg',1,-1)",
              "0summarize(a.b,'20s','max',true)", "0aliasSub(a.b,'(.)','\\1\\1')", "0seriesByTag('name=~a.*','x!=y')", "118:36_20210223",
              "1-1.5weeks", "1now")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  const size_t choice = fuzz::TakeChoice(src, 2);
  const std::string text(AsText(src));
  if (choice == 1) {
    const auto time = ParseTime(text, 1'700'000'000'000);
    Require(!time.ok() || (time.value() <= kMaxTimeMs && time.value() >= -kMaxTimeMs));
    static_cast<void>(AlignToUnit(1'700'000'000'000, text).ok());
    return 0;
  }
  const auto parsed = ParseExpr(text);
  if (!parsed.ok()) return 0;
  const std::string printed = parsed.value().ToString();
  const auto again = ParseExpr(printed);
  if (again.ok()) Require(again.value().ToString() == printed);
  EvalOptions options;
  options.max_points_per_series = 10'000;
  uint64_t held = 0;
  options.hold = [&held](uint64_t bytes) -> Result<std::shared_ptr<void>> {
    held += bytes;
    if (held > 50 << 20) return Error(ErrorCode::kLimitExceeded, "enough");
    return std::shared_ptr<void>();
  };
  int calls = 0;
  options.check = [&calls]() -> Status {
    if (++calls > 2000) return Error(ErrorCode::kCancelled, "enough");
    return Ok();
  };
  const Window window{1'000'000, 1'100'000, 0};
  FetchedSeries fetched;
  SeriesList list;
  for (int round = 0; round < 3; ++round) {
    Evaluator evaluator(options, fetched);
    auto result = evaluator.Run(text, window);
    if (result.ok()) list = std::move(result).value();
    const auto missing = fetched.TakeMissing();
    if (missing.empty()) break;
    for (const Selection& selection : missing) {
      SeriesList found;
      const size_t points = PointsCount(selection.range.min_timestamp, selection.range.max_timestamp, options.storage_step);
      if (points > 10'000) continue;
      for (const char* name : {"a.b;x=y", "a.c"}) {
        Series series;
        series.tags = UnmarshalTags(name);
        series.name = series.tags["name"];
        for (size_t i = 0; i < points; ++i) series.values.push_back(static_cast<double>(i * i % 7));
        found.push_back(std::move(series));
      }
      fetched.Put(selection, std::move(found));
    }
  }
  for (const Series& series : list) Require(series.values.size() == series.timestamps.size());
  LimitPoints(list, window, 5);
  fuzz::Touch(RenderResponse(std::move(list)));
  return 0;
}
