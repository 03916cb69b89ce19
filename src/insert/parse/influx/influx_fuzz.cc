// A body gives what its lines give one by one, and a time of any size has milliseconds.
#include "insert/parse/influx/influx.h"

#include "lib/bytes/fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("0ok x=1\n# comment\nbad\nok2,a=b y=\"2\",z=t 5\n", "1m\\ x,t\\,g=v\\=1,u=w f1=12i,f2=-1.5e3,f3=F 1700000000000000000",
              "2,a=b x=18446744073709551615u\r\n\nfoo,empty=,=x  bar=\"a,b c\\\"d\" -9223372036854775808")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static constexpr std::string_view kPrecisions[] = {"", "ns", "u", "us", "ms", "s", "m", "h"};
  ByteView src(data, size);
  const InfluxTimestamps timestamps(kPrecisions[fuzz::TakeChoice(src, std::size(kPrecisions))], 7);
  std::string_view body = AsText(src);
  InfluxLines lines;
  size_t reported = 0;
  Require(lines.Parse(body, true, [&](std::string_view) { ++reported; }).ok());
  Require(reported == lines.bad_count());
  size_t labels = 0, fields = 0;
  for (const InfluxRow& row : lines.rows()) {
    Require(row.first_label == labels && row.first_field == fields && row.fields_count > 0);
    labels += row.labels_count;
    fields += row.fields_count;
    fuzz::Touch(row.measurement);
    for (const model::LabelView& label : lines.labels(row)) {
      Require(!label.name.empty() && !label.value.empty());
      fuzz::Touch(label.name);
      fuzz::Touch(label.value);
    }
    for (const InfluxField& field : lines.fields(row)) fuzz::Touch(field.key);
    timestamps.ToMs(row.timestamp, 1'700'000'000'000);
  }
  Require(2 * (labels + fields) <= size + 1);  // Each needs a sign and another character.
  size_t rows = 0, bad = 0;
  InfluxLines one;
  while (!body.empty()) {
    const std::string_view line = fuzz::TakePart(body, '\n');
    Require(one.Parse(line, false, nullptr).ok() == (one.Parse(line, true, nullptr), one.bad_count() == 0));
    rows += one.rows().size();
    bad += one.bad_count();
  }
  Require(rows == lines.rows().size() && bad == lines.bad_count());
  return 0;
}
