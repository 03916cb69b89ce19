#include "insert/shard/shard.h"

#include <algorithm>
#include <bit>
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
  const size_t name_size = model::MetricNameRawSize(labels);
  PlaceForLabels(tenant, name_size - kTenantSize);
  model::StoreMetricNameRaw(row_.data() + kSizeRoom, tenant, labels);
  BeginRows(name_size);
  if (nodes_.nodes_count() == 1) return;
  scratch_.clear();
  AppendBigEndian<uint32_t>(scratch_, tenant.account_id);
  AppendBigEndian<uint32_t>(scratch_, tenant.project_id);
  for (const model::LabelView& label : labels) {
    AppendText(scratch_, label.name);
    AppendText(scratch_, label.value);
  }
  node_ = nodes_.Pick(hash::XXH64(scratch_));
}

uint8_t* ShardWriter::PlaceForLabels(model::Tenant tenant, size_t size) {
  const size_t row_size = kSizeRoom + kTenantSize + size + kSampleSize;
  if (row_.size() < row_size) row_.resize(row_size);
  uint8_t* to = StoreBigEndian(row_.data() + kSizeRoom, tenant.account_id);
  return StoreBigEndian(to, tenant.project_id);
}

void ShardWriter::BeginPlacedSeries(size_t labels_size, size_t metric_name_at) {
  BeginRows(kTenantSize + labels_size);
  if (nodes_.nodes_count() == 1) return;
  const ByteView name = ByteView(row_).subspan(kSizeRoom, kTenantSize + labels_size);
  if (metric_name_at == std::string_view::npos) {
    node_ = nodes_.Pick(hash::XXH64(name));
    return;
  }
  scratch_.clear();
  Append(scratch_, name.first(kTenantSize + metric_name_at));
  AppendText(scratch_, "__name__");
  Append(scratch_, name.subspan(kTenantSize + metric_name_at + 2));
  node_ = nodes_.Pick(hash::XXH64(scratch_));
}

void ShardWriter::BeginRows(size_t name_size) {
  uint8_t bytes[kSizeRoom];
  size_t size = 0;
  for (size_t rest = name_size; size == 0 || rest > 0; rest >>= 7) {
    bytes[size++] = static_cast<uint8_t>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  }
  row_begin_ = kSizeRoom - size;
  std::copy_n(bytes, size, row_.data() + row_begin_);
  name_end_ = kSizeRoom + name_size;
}

void ShardWriter::AddSample(int64_t timestamp, double value) {
  uint8_t* to = StoreBigEndian(row_.data() + name_end_, static_cast<uint64_t>(timestamp));
  StoreBigEndian(to, std::bit_cast<uint64_t>(value));
  const size_t row_size = name_end_ + kSampleSize - row_begin_;
  NodeBatch& batch = BatchWithRoom(node_, row_size);
  Append(batch.data, ByteView(row_).subspan(row_begin_, row_size));
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
  buffered_bytes_ += row_size;
  if (batch.rows_count == 0 && buffers_ != nullptr) {
    batch.data = buffers_->Take();
    batch.data.clear();
  }
  return batch;
}

std::vector<NodeBatch> ShardWriter::Finish() {
  buffered_bytes_ = 0;
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
