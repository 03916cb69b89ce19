// The ranges of events follow each other, and all their views can be read.
#include "insert/parse/newrelic/newrelic.h"

#include "lib/bytes/fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("[{\"Events\":[{\"a\":\"b\",\"e\":\"\",\"n\":1.5,\"t\":true,\"x\":null,\"\":3,\"timestamp\":4294967295}]}]",
              "[{\"EntityID\":28257883748326179,\"IsAgent\":true,\"Events\":[{\"eventType\":\"SystemSample\",\"timestamp\":1690286061,"
              "\"cpuPercent\":25.05,\"entityKey\":\"macbook\"},{\"timestamp\":1.5},{}],\"ReportingAgentID\":1},{\"Events\":[]}]",
              "[{\"Events\":{}},{\"Events\":[1]}]")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  NewrelicEvents events;
  if (!events.Parse(AsText(ByteView(data, size))).ok()) return 0;
  size_t labels = 0, samples = 0;
  for (const NewrelicEvent& event : events.events()) {
    Require(event.first_label == labels && event.first_sample == samples);
    labels += event.labels_count;
    samples += event.samples_count;
    for (const model::LabelView& label : events.labels(event)) {
      fuzz::Touch(label.name);
      fuzz::Touch(label.value);
    }
    for (const NewrelicSample& sample : events.samples(event)) fuzz::Touch(sample.name);
  }
  Require(labels + samples <= size);
  return 0;
}
