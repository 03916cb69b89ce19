#include "insert/shard/shard.h"

#include <utility>

#include "lib/hash/xxhash.h"

namespace vm::insert {
namespace {

void AppendText(ByteBuffer& dst, std::string_view text) {
  AppendBigEndian<uint16_t>(dst, static_cast<uint16_t>(text.size()));
  Append(dst, text);
}

}  // namespace

ShardWriter::ShardWriter(const hash::Rendezvous& nodes, size_t max_batch_bytes, BufferPool* buffers)
    : nodes_(nodes), max_batch_bytes_(max_batch_bytes), buffers_(buffers), open_(nodes.nodes_count()) {}

void ShardWriter::BeginSeries(model::Tenant tenant, std::span<const model::LabelView> labels) {
  name_raw_.clear();
  model::MarshalMetricNameRaw(name_raw_, tenant, labels);
  if (nodes_.nodes_count() == 1) {
    node_ = 0;
    return;
  }
  scratch_.clear();
  AppendBigEndian<uint32_t>(scratch_, tenant.account_id);
  AppendBigEndian<uint32_t>(scratch_, tenant.project_id);
  for (const model::LabelView& label : labels) {
    AppendText(scratch_, label.name);
    AppendText(scratch_, label.value);
  }
  node_ = nodes_.Pick(hash::XXH64(scratch_));
}

void ShardWriter::AddSample(int64_t timestamp, double value) {
  model::MetricRow row;
  row.metric_name_raw = name_raw_;
  row.timestamp = timestamp;
  row.value = value;
  NodeBatch& batch = BatchWithRoom(node_, model::MetricRowSize(row));
  model::AppendMetricRow(batch.data, row);
  ++batch.rows_count;
}

void ShardWriter::AddMetadata(const model::MetadataRow& row) {
  scratch_.clear();
  model::AppendMetadataRow(scratch_, row);
  const size_t node = nodes_.nodes_count() == 1 ? 0 : nodes_.Pick(hash::XXH64(scratch_));
  NodeBatch& batch = BatchWithRoom(node, scratch_.size());
  Append(batch.data, scratch_);
  ++batch.rows_count;
}

NodeBatch& ShardWriter::BatchWithRoom(size_t node, size_t row_size) {
  NodeBatch& batch = open_[node];
  if (batch.rows_count > 0 && batch.data.size() + row_size >= max_batch_bytes_) {
    batch.node = node;
    full_.push_back(std::exchange(batch, NodeBatch{}));
  }
  if (batch.rows_count == 0 && buffers_ != nullptr) {
    batch.data = buffers_->Take();
    batch.data.clear();
  }
  return batch;
}

std::vector<NodeBatch> ShardWriter::Finish() {
  for (size_t node = 0; node < open_.size(); ++node) {
    if (open_[node].rows_count == 0) continue;
    open_[node].node = node;
    full_.push_back(std::exchange(open_[node], NodeBatch{}));
  }
  return std::exchange(full_, {});
}

Result<HashedRow> TakeHashedRow(RowKind kind, ByteView& rows) {
  const ByteView before = rows;
  HashedRow row;
  if (kind == RowKind::kSamples) {
    VM_ASSIGN_OR_RETURN(const model::MetricRow taken, model::TakeMetricRow(rows));
    row.hash = hash::XXH64(taken.metric_name_raw);
  } else {
    VM_ASSIGN_OR_RETURN(const model::MetadataRow taken, model::TakeMetadataRow(rows));
    row.hash = hash::XXH64(AsBytes(taken.name));
  }
  row.bytes = before.first(before.size() - rows.size());
  return row;
}

Result<std::vector<NodeBatch>> SplitRows(RowKind kind, ByteView rows, const hash::Rendezvous& nodes,
                                         std::span<const size_t> excluded) {
  std::vector<NodeBatch> by_node(nodes.nodes_count());
  while (!rows.empty()) {
    VM_ASSIGN_OR_RETURN(const HashedRow row, TakeHashedRow(kind, rows));
    NodeBatch& batch = by_node[nodes.Pick(row.hash, excluded)];
    Append(batch.data, row.bytes);
    ++batch.rows_count;
  }
  std::vector<NodeBatch> batches;
  for (size_t node = 0; node < by_node.size(); ++node) {
    if (by_node[node].rows_count == 0) continue;
    by_node[node].node = node;
    batches.push_back(std::move(by_node[node]));
  }
  return batches;
}

}  // namespace vm::insert
