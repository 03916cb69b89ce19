// Each line is a series with as many values as times, or is reported.
#include "insert/parse/vmimport/json_lines.h"

#include "lib/bytes/fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("{\"metric\":{\"a\":\"b\"},\"values\":[1],\"timestamps\":[1]}\r\n\n{}\n",
              "{\"metric\":{\"__name__\":\"b\",\"x\":\"\\u00e9\"},\"values\":[1,2.5e-3,null,\"Infinity\"],\"timestamps\":[1,2,3,-4]}\n",
              "{\"metric\":{\"c\":\"d\",\"\":\"e\"},\"values\":[\"-Inf\",NaN],\"timestamps\":[1,2]}")

namespace {

struct Counts {
  size_t lines = 0, samples = 0, bad = 0;
  bool operator==(const Counts&) const = default;
};

Counts Read(JsonLinesReader& reader, std::string_view body) {
  Counts counts;
  size_t reported = 0;
  reader.Start(body, [&](std::string_view) { ++reported; });
  while (const JsonLine* line = reader.Next()) {
    Require(!line->labels.empty() && !line->values.empty() && line->values.size() == line->timestamps.size());
    for (const model::LabelView& label : line->labels) {
      fuzz::Touch(label.name);
      fuzz::Touch(label.value);
    }
    ++counts.lines;
    counts.samples += line->values.size();
  }
  Require(reported == reader.bad_count());
  counts.bad = reported;
  return counts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view body = AsText(ByteView(data, size));
  JsonLinesReader reader;
  const Counts whole = Read(reader, body);
  Counts sum;
  while (!body.empty()) {
    const Counts one = Read(reader, fuzz::TakePart(body, '\n'));
    sum = {sum.lines + one.lines, sum.samples + one.samples, sum.bad + one.bad};
  }
  Require(sum == whole && whole.samples <= size);
  return 0;
}
