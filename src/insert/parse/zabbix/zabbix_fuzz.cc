// Each line is a row with its three names, or is bad; lines do not depend on each other.
#include "insert/parse/zabbix/zabbix.h"

#include "lib/bytes/fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("0{\"host\":{\"host\":\"h\",\"name\":\"n\"},\"groups\":[\"g\",1],\"item_tags\":[{\"tag\":\"a\",\"value\":\"b\"},"
              "{\"tag\":\"a\",\"value\":\"\"},{\"tag\":\"a\"}],\"name\":\"m\",\"clock\":1712417868,\"ns\":425677241,\"value\":1.5,"
              "\"type\":0}\r\n\n{\"type\":4}\n",
              "1{\"host\":{\"host\":\"h\",\"name\":\"\\u00e9\"},\"item_tags\":[],\"groups\":[],\"name\":\"m\",\"clock\":-1,\"ns\":0,"
              "\"value\":1e300,\"type\":3}\n{}\n[]")

namespace {

struct Counts {
  size_t rows = 0, labels = 0, bad = 0;
  bool operator==(const Counts&) const = default;
};

Counts Read(ZabbixReader& reader, std::string_view body) {
  Counts counts;
  size_t reported = 0;
  reader.Start(body, [&](std::string_view) { ++reported; });
  while (const ZabbixRow* row = reader.Next()) {
    Require(row->labels.size() >= 3 && row->labels[2].name.empty());
    for (const model::LabelView& label : row->labels) {
      Require(!label.value.empty());
      fuzz::Touch(label.name);
      fuzz::Touch(label.value);
    }
    ++counts.rows;
    counts.labels += row->labels.size();
  }
  counts.bad = reader.bad_count();
  Require(reported <= counts.bad);
  return counts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  const size_t variant = fuzz::TakeChoice(src, 4);
  const ZabbixOptions options{variant % 2 == 0 ? "1" : "", variant < 2 ? "none" : "", variant % 2 == 0 ? "," : ""};
  std::string_view body = AsText(src);
  ZabbixReader reader(options);
  const Counts whole = Read(reader, body);
  Counts sum;
  while (!body.empty()) {
    const Counts one = Read(reader, fuzz::TakePart(body, '\n'));
    sum = {sum.rows + one.rows, sum.labels + one.labels, sum.bad + one.bad};
  }
  Require(sum == whole && whole.labels <= size);
  return 0;
}
