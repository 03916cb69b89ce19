// Lines of telnet: a body gives what its lines give one by one. JSON: the ranges of rows lie in their lists.
#include "insert/parse/opentsdb/put.h"
#include "insert/parse/opentsdb/telnet.h"
#include "insert/parse/rows/rows_fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it

VM_FUZZ_SEEDS("0put foobar 789 -123.456 a=b c=d\nput a 1 2\nput x\nput  m  1.5e9  NaN  t=v  =x y=\r\n",
              "1{\"metric\":\"foobar\",\"timestamp\":789,\"value\":-123.456,\"tags\":{\"a\":\"b\"}}",
              "1[{\"metric\":\"a\",\"timestamp\":\"17e2\",\"value\":\"-1\"},{\"metric\":\"\",\"value\":1},"
              "{\"metric\":\"x\",\"value\":{},\"tags\":[]},{\"metric\":\"y\",\"value\":1,\"tags\":{\"b\":2}}]")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  ParsedRows rows;
  if (fuzz::TakeChoice(src, 2) == 0) {
    CheckLineParser(AsText(src), ParseOpentsdbTelnet);
    ParseOpentsdbTelnet(rows, AsText(src), nullptr);
  } else {
    JsonDocument document;
    size_t reported = 0;
    if (!ParseOpentsdbPut(rows, document, AsText(src), [&](std::string_view) { ++reported; }).ok()) return 0;
    fuzz::Require(reported == rows.bad_count);
    CheckRows(rows);
  }
  for (const ParsedRow& row : rows.rows) {
    fuzz::Require(!row.metric.empty());
    OpentsdbTimestampMs(row.timestamp);
  }
  return 0;
}
