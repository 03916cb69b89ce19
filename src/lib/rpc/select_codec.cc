#include "lib/rpc/select_codec.h"

#include <fmt/format.h>

#include <array>

#include "lib/encoding/int.h"
#include "lib/rpc/frame.h"
#include "lib/rpc/insert_codec.h"

namespace vm::rpc {
namespace {

using Kind = ArgField::Kind;

constexpr size_t kMaxLabelNameArgSize = 16384;
constexpr size_t kMaxMetricNameArgSize = 1024;
constexpr size_t kMaxTextItemSize = 16777216;
constexpr uint32_t kMaxLimit = 0x7fffffff;

constexpr std::array kQueryArgs = {ArgField{Kind::kFrame, kMaxSearchQuerySize}};
constexpr std::array kLabelNamesArgs = {ArgField{Kind::kFrame, kMaxSearchQuerySize},
                                        ArgField{Kind::kFixed, 4}};
constexpr std::array kLabelValuesArgs = {ArgField{Kind::kFrame, kMaxLabelNameArgSize},
                                         ArgField{Kind::kFrame, kMaxSearchQuerySize},
                                         ArgField{Kind::kFixed, 4}};
constexpr std::array kSeriesCountArgs = {ArgField{Kind::kFixed, 8}};
constexpr std::array kSearchMetadataArgs = {ArgField{Kind::kOptionalTenant, 8},
                                            ArgField{Kind::kFixed, 4},
                                            ArgField{Kind::kFrame, kMaxMetricNameArgSize}};

// In the order of SelectArgs.
constexpr std::array<SelectMethod, 6> kMethods = {
    SelectMethod{"search_v7", PayloadKind::kList, 1 << 20, kQueryArgs},
    SelectMethod{"searchMetricNames_v3", PayloadKind::kCounted, 65536, kQueryArgs},
    SelectMethod{"labelNames_v5", PayloadKind::kList, kMaxTextItemSize, kLabelNamesArgs},
    SelectMethod{"labelValues_v5", PayloadKind::kList, kMaxTextItemSize, kLabelValuesArgs},
    SelectMethod{"seriesCount_v4", PayloadKind::kNumber, 0, kSeriesCountArgs},
    SelectMethod{"searchMetadata_v1", PayloadKind::kCounted, kMaxTextItemSize,
                 kSearchMetadataArgs},
};
static_assert(kMethods.size() == std::variant_size_v<SelectArgs>);

void AppendQuery(ByteBuffer& dst, const model::SearchQuery& query) {
  ByteBuffer packed;
  model::MarshalSearchQuery(packed, query);
  AppendFrame(dst, packed);
}

Result<model::SearchQuery> TakeQuery(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const ByteView packed, TakeFrame(src, kMaxSearchQuerySize));
  return model::UnmarshalSearchQuery(packed);
}

Result<uint32_t> TakeLimit(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const uint32_t limit, encoding::TakeUint<uint32_t>(src));
  return std::min(limit, kMaxLimit);
}

void AppendTenant(ByteBuffer& dst, model::Tenant tenant) {
  AppendBigEndian<uint32_t>(dst, tenant.account_id);
  AppendBigEndian<uint32_t>(dst, tenant.project_id);
}

Result<model::Tenant> TakeTenant(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const uint32_t account_id, encoding::TakeUint<uint32_t>(src));
  VM_ASSIGN_OR_RETURN(const uint32_t project_id, encoding::TakeUint<uint32_t>(src));
  return model::Tenant{account_id, project_id};
}

struct ArgsWriter {
  ByteBuffer& dst;

  void operator()(const SearchRequest& r) const { AppendQuery(dst, r.query); }
  void operator()(const SearchMetricNamesRequest& r) const { AppendQuery(dst, r.query); }
  void operator()(const LabelNamesRequest& r) const {
    AppendQuery(dst, r.query);
    AppendBigEndian<uint32_t>(dst, r.max_names);
  }
  void operator()(const LabelValuesRequest& r) const {
    AppendFrame(dst, r.label_name);
    AppendQuery(dst, r.query);
    AppendBigEndian<uint32_t>(dst, r.max_values);
  }
  void operator()(const SeriesCountRequest& r) const { AppendTenant(dst, r.tenant); }
  void operator()(const SearchMetadataRequest& r) const {
    dst.push_back(r.tenant ? 1 : 0);
    if (r.tenant) AppendTenant(dst, *r.tenant);
    AppendBigEndian<uint32_t>(dst, r.limit);
    AppendFrame(dst, r.metric_name);
  }
};

Result<SelectArgs> TakeArgs(size_t index, ByteView& src) {
  switch (index) {
    case 0: {
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      return SelectArgs(SearchRequest{std::move(query)});
    }
    case 1: {
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      return SelectArgs(SearchMetricNamesRequest{std::move(query)});
    }
    case 2: {
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      VM_ASSIGN_OR_RETURN(const uint32_t limit, TakeLimit(src));
      return SelectArgs(LabelNamesRequest{std::move(query), limit});
    }
    case 3: {
      VM_ASSIGN_OR_RETURN(const ByteView label_name, TakeFrame(src, kMaxLabelNameArgSize));
      VM_ASSIGN_OR_RETURN(auto query, TakeQuery(src));
      VM_ASSIGN_OR_RETURN(const uint32_t limit, TakeLimit(src));
      return SelectArgs(LabelValuesRequest{std::string(AsText(label_name)), std::move(query), limit});
    }
    case 4: {
      VM_ASSIGN_OR_RETURN(const auto tenant, TakeTenant(src));
      return SelectArgs(SeriesCountRequest{tenant});
    }
    default: {
      SearchMetadataRequest request;
      VM_ASSIGN_OR_RETURN(const uint8_t has_tenant, encoding::TakeUint<uint8_t>(src));
      if (has_tenant != 0) {
        VM_ASSIGN_OR_RETURN(request.tenant, TakeTenant(src));
      }
      VM_ASSIGN_OR_RETURN(request.limit, TakeLimit(src));
      VM_ASSIGN_OR_RETURN(const ByteView name, TakeFrame(src, kMaxMetricNameArgSize));
      request.metric_name = AsText(name);
      return SelectArgs(std::move(request));
    }
  }
}

Status TakePayload(const SelectMethod& method, ByteView& src, SelectReply& reply) {
  switch (method.payload) {
    case PayloadKind::kList:
      for (;;) {
        VM_ASSIGN_OR_RETURN(const ByteView item, TakeFrame(src, method.max_item_size));
        if (item.empty()) return Ok();
        reply.AddItem(item);
      }
    case PayloadKind::kCounted: {
      VM_ASSIGN_OR_RETURN(const uint64_t count, encoding::TakeUint<uint64_t>(src));
      for (uint64_t i = 0; i < count; ++i) {
        VM_ASSIGN_OR_RETURN(const ByteView item, TakeFrame(src, method.max_item_size));
        reply.AddItem(item);
      }
      return Ok();
    }
    case PayloadKind::kNumber: {
      VM_ASSIGN_OR_RETURN(reply.number, encoding::TakeUint<uint64_t>(src));
      return Ok();
    }
  }
  return Ok();
}

}  // namespace

const SelectMethod* FindSelectMethod(std::string_view rpc_name) {
  for (const auto& method : kMethods) {
    if (method.name == rpc_name) return &method;
  }
  return nullptr;
}

const SelectMethod& MethodOf(const SelectArgs& args) { return kMethods[args.index()]; }

void AppendSelectArgs(ByteBuffer& dst, const SelectArgs& args) { std::visit(ArgsWriter{dst}, args); }

void AppendSelectRequest(ByteBuffer& dst, const SelectArgs& args, bool trace_enabled,
                         uint32_t timeout_seconds) {
  AppendFrame(dst, MethodOf(args).name);
  dst.push_back(trace_enabled ? 1 : 0);
  AppendBigEndian<uint32_t>(dst, timeout_seconds);
  AppendSelectArgs(dst, args);
}

Result<RequestHead> TakeRequestHead(ByteView& src) {
  ByteView rest = src;
  RequestHead head;
  VM_ASSIGN_OR_RETURN(const ByteView name, TakeFrame(rest, kMaxRpcNameSize));
  VM_ASSIGN_OR_RETURN(const uint8_t trace, encoding::TakeUint<uint8_t>(rest));
  VM_ASSIGN_OR_RETURN(head.timeout_seconds, encoding::TakeUint<uint32_t>(rest));
  head.rpc_name = AsText(name);
  head.trace_enabled = trace != 0;
  src = rest;
  return head;
}

Result<SelectArgs> UnmarshalSelectArgs(const SelectMethod& method, ByteView src) {
  size_t index = 0;
  while (kMethods[index].name != method.name) ++index;
  auto args = TakeArgs(index, src);
  if (!args.ok()) {
    return std::move(args).error().WithContext(fmt::format("cannot read args of {}", method.name));
  }
  if (!src.empty()) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("{} bytes left after args of {}", src.size(), method.name));
  }
  return args;
}

void AppendSelectReply(ByteBuffer& dst, PayloadKind kind, const SelectReply& reply) {
  AppendErrorText(dst, reply.error);
  if (reply.error.empty()) {
    if (kind == PayloadKind::kNumber) {
      AppendBigEndian<uint64_t>(dst, reply.number);
    } else {
      if (kind == PayloadKind::kCounted) AppendBigEndian<uint64_t>(dst, reply.size());
      for (size_t i = 0; i < reply.size(); ++i) {
        if (kind == PayloadKind::kCounted || !reply.item(i).empty()) AppendFrame(dst, reply.item(i));
      }
      if (kind == PayloadKind::kList) AppendFrame(dst, ByteView());
    }
  }
  AppendFrame(dst, reply.trace);
}

Result<SelectReply> TakeSelectReply(const SelectMethod& method, ByteView& src) {
  ByteView rest = src;
  SelectReply reply;
  VM_ASSIGN_OR_RETURN(const auto error, TakeErrorText(rest));
  reply.error = error;
  if (reply.error.empty()) {
    VM_TRY(TakePayload(method, rest, reply));
  }
  VM_ASSIGN_OR_RETURN(const ByteView trace, TakeFrame(rest, kMaxTraceSize));
  reply.trace = AsText(trace);
  src = rest;
  return reply;
}

}  // namespace vm::rpc
