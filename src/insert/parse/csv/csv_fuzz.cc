// The first line describes the columns of the others. A body gives what its lines give one by one.
#include "insert/parse/csv/csv.h"

#include "insert/parse/csv/go_time.h"
#include "insert/parse/rows/rows_fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it

VM_FUZZ_SEEDS("1:metric:ask,2:metric:bid,3:time:unix_s,4:label:market\n1.23,4.56,1583865146,NYSE\nask,bid,time,m\n",
              "1:time:rfc3339,2:label:a,4:metric:m\n2015-08-10T20:04:40.123+01:00,\"a,\"\"b\",x,5\n'it''s',1,2,3\r\n,,,1e5",
              "2:metric:x,1:time:custom:Mon, 02 Jan 2006 15:04:05 MST\nWed\n", "2:metric:x,1:time:unix_ns\n1583865146495000000,1\n",
              "2:metric:x,1:time:custom:2006-002T3:4:05.000PM -07:00\n2020-366T6:23:46.123PM +01:00,1\n",
              "3:metric:x,1:time:unix_ms\n9223372036854775807,,1\n-1,\"x,2\n")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view body = AsText(ByteView(data, size));
  const std::string_view format = fuzz::TakePart(body, '\n');
  static_cast<void>(ParseGoTime(format, body));
  const auto columns = ParseCsvFormat(format);
  if (!columns.ok()) return 0;
  fuzz::Require(!columns.value().empty() && columns.value().size() <= 64 * 1024);
  CheckLineParser(body, [&](ParsedRows& rows, std::string_view lines, const BadRowHandler& on_bad_row) {
    ParseCsv(rows, lines, columns.value(), false, on_bad_row);
  });
  ParsedRows rows, without_header;
  ParseCsv(rows, body, columns.value(), false, nullptr);
  ParseCsv(without_header, body, columns.value(), true, nullptr);
  fuzz::Require(without_header.rows.size() <= rows.rows.size());
  return 0;
}
