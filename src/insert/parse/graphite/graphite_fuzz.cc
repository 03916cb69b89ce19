// A body gives what its lines give one by one.
#include "insert/parse/graphite/graphite.h"

#include "insert/parse/rows/rows_fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it

VM_FUZZ_SEEDS("0foo.bar.baz 123.456 789\na\nb x 1\nc;d=e 1 y\n", "1foo;tag1=val;t2=;=x;bad\t-1e3\t -1\r\n  x 1",
              "1a.b-c d\xc3\xa9 NaN 1700000000.5\n;a=b 1 2")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  GraphiteOptions options;
  options.sanitize_metric_name = fuzz::TakeChoice(src, 2) == 1;
  CheckLineParser(AsText(src), [&](ParsedRows& rows, std::string_view body, const BadRowHandler& on_bad_row) {
    ParseGraphite(rows, body, options, on_bad_row);
  });
  ParsedRows rows;
  ParsedRow row;
  if (ParseGraphiteMetric(rows, row, AsText(src), options).ok()) fuzz::Require(!row.metric.empty());
  return 0;
}
