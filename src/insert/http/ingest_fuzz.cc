// All formats through to the batches for the nodes: rows are counted, and each batch reads back.
#include "insert/http/ingest.h"
#include "insert/http/path.h"
#include "insert/http/whole_ingest.h"
#include "lib/bytes/fuzz.h"
#include "lib/http/args.h"
#include "lib/model/rows.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

constexpr int64_t kNowMs = 1'700'000'000'123;

void Check(const IngestOutput& output) {
  size_t rows = 0, tenant_rows = 0, metadata = 0;
  for (const NodeBatch& batch : output.samples) {
    Require(batch.node < 3);
    ByteView rest = batch.data;
    size_t in_batch = 0;
    for (; !rest.empty(); ++in_batch) {
      const auto row = model::TakeMetricRow(rest);
      Require(row.ok() && model::MetricName::UnmarshalRaw(row.value().metric_name_raw).ok());
    }
    Require(in_batch == batch.rows_count);
    rows += in_batch;
  }
  for (const auto& [tenant, count] : output.tenant_rows) tenant_rows += count;
  for (const NodeBatch& batch : output.metadata) {
    ByteView rest = batch.data;
    for (; !rest.empty(); ++metadata) Require(model::TakeMetadataRow(rest).ok());
  }
  Require(rows == tenant_rows && rows <= output.rows_count && metadata <= output.metadata_count);
  Require(output.errors.size() <= IngestOutput::kMaxErrors);
}

void CheckIfGood(const std::function<Steps(IngestOutput& output)>& begin) {
  const Result<IngestOutput> output = IngestWhole(begin);
  if (output.ok()) Check(output.value());
}

std::string Rows() {
  ByteBuffer name, rows;
  const model::LabelView labels[] = {{"", "m"}, {"a", "b"}};
  model::MarshalMetricNameRaw(name, {1, 2}, labels);
  model::AppendMetricRow(rows, {name, 1000, 5});
  model::AppendMetricRow(rows, {name, 2000, 6});
  return std::string(AsText(rows));
}

std::string Metadata() {
  ByteBuffer rows;
  model::AppendMetadataRow(rows, {{1, 2}, 3, "name", "help", "unit"});
  return std::string(AsText(rows));
}

}  // namespace

VM_FUZZ_SEEDS("00m{a=\"b\"} 1\n# TYPE m counter\nn 2 3\n", "11{\"metric\":{\"__name__\":\"b\"},\"values\":[1],\"timestamps\":[2]}\n",
              "201,2,x,2.5", "31m,t=v x=1,y=2i 1700000000\n", "40a.b;c=d 1 -9223372036854775\n", "51put m -9223372036854775808 1 a=b\n",
              "60[{\"metric\":\"m\",\"timestamp\":-9e18,\"value\":1}]",
              "71{\"series\":[{\"metric\":\"m.n\",\"points\":[[1e300,2]],\"tags\":[\"a:b\"]}]}",
              "80[{\"Events\":[{\"a\":\"b\",\"n\":1.5,\"timestamp\":9e18}]}]", ":0" + Rows(), ";0" + Metadata(),
              "=0{\"host\":{\"host\":\"h\",\"name\":\"n\"},\"item_tags\":[{\"tag\":\"a\",\"value\":\"b\"}],\"groups\":[],"
              "\"name\":\"m\",\"clock\":1,\"ns\":2000000,\"value\":1.5,\"type\":0}",
              ">0\n\x0c\n\x01m\"\x03" "a:b:\x02\x08\x05",
              "<1/insert/42:7/prometheus/metrics/job/x/a@base64/YmM=")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string nodes[] = {"a:1", "b:2", "c:3"};
  static const hash::Rendezvous placement(nodes, 0);
  static const auto columns = ParseCsvFormat("1:metric:m,2:time:unix_s,3:label:l,4:metric:n");
  static const auto rules = relabel::Rules::Parse("- {action: labeldrop, regex: drop.*}\n- {source_labels: [a], target_label: c}\n");
  ByteView src(data, size);
  const size_t choice = fuzz::TakeChoice(src, 15);
  const size_t variant = fuzz::TakeChoice(src, 4);
  const std::string_view text = AsText(src);
  static const InfluxOptions influx;
  static const GraphiteOptions graphite;
  static const OtlpOptions otlp;
  static const ZabbixOptions zabbix = {"1", "none", ","};
  IngestContext context;
  context.max_turn_bytes = variant == 0 ? 300 : 1 << 20;
  context.placement = &placement;
  context.max_batch_bytes = 200;
  context.prepare.max_labels_per_series = 4;
  context.prepare.max_label_name_bytes = 20;
  context.prepare.max_label_value_bytes = 40;
  context.prepare.sort_labels = variant == 1;
  context.prepare.prometheus_naming = variant == 2;
  if (variant != 1) context.tenant = model::Tenant{3, 4};
  if (variant == 3) context.relabeling = rules.value();
  context.extra_labels = {{"x", "y"}};
  switch (choice) {
    case 0: CheckIfGood([&](IngestOutput& output) { return IngestText(text, kNowMs, context, output); }); break;
    case 1: CheckIfGood([&](IngestOutput& output) { return IngestJsonLines(text, context, output); }); break;
    case 2: CheckIfGood([&](IngestOutput& output) { return IngestCsv(text, columns.value(), variant == 1, 1000, kNowMs, context, output); }); break;
    case 3: CheckIfGood([&](IngestOutput& output) { return IngestInflux(text, InfluxTimestamps("", 1000), "db", true, kNowMs, influx, context, output); }); break;
    case 4: CheckIfGood([&](IngestOutput& output) { return IngestGraphite(text, graphite, 1500, kNowMs, context, output); }); break;
    case 5: CheckIfGood([&](IngestOutput& output) { return IngestOpentsdbTelnet(text, 1500, kNowMs, context, output); }); break;
    case 6: CheckIfGood([&](IngestOutput& output) { return IngestOpentsdbPut(text, 1500, kNowMs, context, output); }); break;
    case 7: {
      constexpr DatadogFormat kFormats[] = {DatadogFormat::kV2Protobuf, DatadogFormat::kV1, DatadogFormat::kV2Json, DatadogFormat::kV1};
      CheckIfGood([&](IngestOutput& output) { return IngestDatadog(src, kFormats[variant], true, kNowMs, context, output); });
      break;
    }
    case 8: CheckIfGood([&](IngestOutput& output) { return IngestNewrelic(text, kNowMs, context, output); }); break;
    case 9: CheckIfGood([&](IngestOutput& output) { return IngestOtlp(src, false, otlp, context, output); }); break;
    case 10: CheckIfGood([&](IngestOutput& output) { return IngestMetricRows(src, context, output); }); break;
    case 11: CheckIfGood([&](IngestOutput& output) { return IngestMetadataRows(src, context, output); }); break;
    case 13: CheckIfGood([&](IngestOutput& output) { return IngestZabbix(text, zabbix, context, output); }); break;
    case 14:
      CheckIfGood([&](IngestOutput& output) { return IngestDatadogSketches(src, variant != 2, context, output); });
      break;
    default: {
      const auto path = ParseInsertPath(text, variant == 1, "7", "8");
      if (path.ok()) static_cast<void>(ParseTenant(path.value().tenant).ok());
      const std::vector<std::string> args = {"a=b"};
      const auto labels = ParseExtraLabels(text, args);
      if (labels.ok()) Require(!labels.value().empty() && labels.value().size() <= size);
    }
  }
  return 0;
}
