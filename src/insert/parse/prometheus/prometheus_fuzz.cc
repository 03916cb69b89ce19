// Any body gives rows whose views lie in it or in the parser; each bad line is reported.
#include <cstdlib>

#include "insert/parse/prometheus/number.h"
#include "insert/parse/prometheus/text.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  vm::insert::PrometheusText text;
  size_t bad_lines = 0;
  text.Parse(body, [&](std::string_view message) {
    Require(!message.empty());
    ++bad_lines;
  });
  Require(text.bad_lines_count() <= bad_lines);  // Bad metadata is reported, but is no bad line.
  size_t bytes = 0;
  for (const auto& row : text.rows()) {
    bytes += row.metric.size();
    for (const auto& label : text.labels(row)) bytes += label.name.size() + label.value.size();
  }
  for (const auto& item : text.metadata()) bytes += item.metric.size();
  Require(bytes <= size);
  // The same parser again: nothing of the first body may be left.
  const size_t rows = text.rows().size();
  text.Parse(body, [](std::string_view) {});
  Require(text.rows().size() == rows);
  (void)vm::insert::ParseNumber(body);
  return 0;
}
