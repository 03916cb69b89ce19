#include "select/http/routes.h"

#include "select/http/admin.h"
#include "select/http/export.h"
#include "select/http/graphite.h"
#include "select/http/labels.h"
#include "select/http/query.h"
#include "select/http/query_text.h"
#include "select/http/status.h"

namespace vm::select {
namespace {

constexpr std::string_view kLabelValuesHead = "prometheus/api/v1/label/";
constexpr std::string_view kLabelValuesTail = "/values";
constexpr std::string_view kNoTagging =
    "graphite tag registration has been disabled and is planned to be removed in future. "
    "See: https://github.com/VictoriaMetrics/VictoriaMetrics/issues/10544\n";

constexpr Route Api(std::string_view path, std::string_view metric_path, std::string_view timed_path, Handler handler) {
  return {Scope::kSelect, path, metric_path, timed_path, true, true, false, handler, 200, {}, {}};
}

constexpr Route Simple(Scope scope, std::string_view path, std::string_view metric_path, Handler handler) {
  return {scope, path, metric_path, {}, false, true, false, handler, 200, {}, {}};
}

constexpr Route Constant(std::string_view path, std::string_view metric_path, std::string_view type, std::string_view body, int status = 200) {
  return {Scope::kSelect, path, metric_path, {}, false, false, false, nullptr, status, type, body};
}

constexpr Route WithCors(Route route) {
  route.has_cors = true;
  return route;
}

constexpr Route OfVmalert(Route route) {
  route.is_of_vmalert = true;
  return route;
}

constexpr Route WithoutCors(Route route) {
  route.has_cors = false;
  return route;
}

constexpr Route Admin(std::string_view path, std::string_view metric_path, Handler handler) {
  return {Scope::kTenantless, path, metric_path, {}, true, false, false, handler, 200, {}, {}};
}

constexpr Route kLabelValues = Api("", "/select/{}/prometheus/api/v1/label/{}/values", "/api/v1/label/{}/values", HandleLabelValues);

constexpr std::string_view kVmalertHead = "prometheus/vmalert/";
constexpr Route kVmalert = OfVmalert(Constant(
    kVmalertHead, "/select/{}/prometheus/vmalert", kTextType,
    R"({"status":"error","msg":"the '-vmalert.proxyURL' command-line must be configured; see https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/#vmalert"})",
    400));

constexpr std::string_view kTagValuesHead = "graphite/tags/";
constexpr Route kTagValues = WithoutCors(Api(kTagValuesHead, "/select/{}/graphite/tags/<tag_name>", "/tags/<tag_name>", HandleGraphiteTagValues));

constexpr std::string_view kFunctionsHead = "graphite/functions";
constexpr Route kFunctionList = Simple(Scope::kSelect, kFunctionsHead, "/select/{}/graphite/functions", HandleGraphiteFunctions);
constexpr Route kFunctionDetails = Simple(Scope::kSelect, "", "/select/{}/graphite/functions/<func_name>", HandleGraphiteFunctions);

// To the path with a slash at its end; relative, as the host and the path before may be those of a proxy.
constexpr Route RedirectTo(std::string_view path, std::string_view location) {
  Route route = Constant(path, {}, {}, {}, 302);
  route.location = location;
  return route;
}

// The metric paths are the reference's, with the missing slash of active_queries.
constexpr Route kRoutes[] = {
    kLabelValues,
    kVmalert,
    {Scope::kSelect, "/", {}, {}, false, false, false, HandleTenantPage, 200, {}, {}},
    kTagValues,
    WithoutCors(kFunctionList),
    WithoutCors(kFunctionDetails),
    Api("prometheus/api/v1/query", "/select/{}/prometheus/api/v1/query", "/api/v1/query", HandleQuery),
    Api("prometheus/api/v1/query_range", "/select/{}/prometheus/api/v1/query_range", "/api/v1/query_range", HandleQueryRange),
    Api("prometheus/api/v1/series", "/select/{}/prometheus/api/v1/series", "/api/v1/series", HandleSeries),
    Api("prometheus/api/v1/series/count", "/select/{}/prometheus/api/v1/series/count", "/api/v1/series/count", HandleSeriesCount),
    Api("prometheus/api/v1/labels", "/select/{}/prometheus/api/v1/labels", "/api/v1/labels", HandleLabels),
    Api("prometheus/api/v1/export", "/select/{}/prometheus/api/v1/export", "/api/v1/export", HandleExport),
    Api("prometheus/api/v1/export/csv", "/select/{}/prometheus/api/v1/export/csv", "/api/v1/export/csv", HandleExportCsv),
    Api("prometheus/api/v1/export/native", "/select/{}/prometheus/api/v1/export/native", "/api/v1/export/native", HandleExportNative),
    WithoutCors(Api("prometheus/federate", "/select/{}/prometheus/federate", "/federate", HandleFederate)),
    WithoutCors(Api("prometheus/api/v1/metadata", "/select/{}/prometheus/api/v1/metadata", {}, HandleMetadata)),

    Api("prometheus/api/v1/status/tsdb", "/select/{}/prometheus/api/v1/status/tsdb", "/api/v1/status/tsdb", HandleTsdbStatus),
    Api("prometheus/api/v1/status/metric_names_stats", "/select/{}/prometheus/api/v1/status/metric_names_stats", {}, HandleUsageStats),

    WithCors(Simple(Scope::kSelect, "prometheus/expand-with-exprs", "/select/{}/prometheus/expand-with-exprs", HandleExpandWithExprs)),
    WithCors(Simple(Scope::kSelect, "expand-with-exprs", "/select/{}/prometheus/expand-with-exprs", HandleExpandWithExprs)),
    WithCors(Simple(Scope::kSelect, "prometheus/prettify-query", "/select/{}/prometheus/prettify-query", HandlePrettifyQuery)),
    WithCors(Simple(Scope::kSelect, "prettify-query", "/select/{}/prometheus/prettify-query", HandlePrettifyQuery)),

    {Scope::kDelete, "prometheus/api/v1/admin/tsdb/delete_series", "/delete/{}/prometheus/api/v1/admin/tsdb/delete_series",
     "/api/v1/admin/tsdb/delete_series", true, false, true, HandleDeleteSeries, 200, {}, {}},
    WithCors(Admin("/admin/tenants", "/admin/tenants", HandleTenants)),
    Admin("/admin/api/v1/admin/status/metric_names_stats/reset", "/admin/api/v1/admin/status/metric_names_stats/reset", HandleResetUsageStats),
    Admin("/internal/resetRollupResultCache", {}, HandleResetCache),

    Simple(Scope::kSelect, "prometheus/api/v1/status/active_queries", "/select/{}prometheus/api/v1/status/active_queries", HandleActiveQueries),
    Simple(Scope::kSelect, "prometheus/api/v1/status/top_queries", "/select/{}/prometheus/api/v1/status/top_queries", HandleTopQueries),
    Simple(Scope::kTenantless, "/api/v1/status/active_queries", "/api/v1/status/active_queries", HandleActiveQueries),
    Simple(Scope::kTenantless, "/api/v1/status/top_queries", "/api/v1/status/top_queries", HandleTopQueries),

    Constant("prometheus/api/v1/status/buildinfo", "/select/{}/prometheus/api/v1/buildinfo", kJsonType,
             R"({"status":"success","data":{"version":"2.24.0"}})"),
    Constant("prometheus/api/v1/query_exemplars", "/select/{}/prometheus/api/v1/query_exemplars", kJsonType, R"({"status":"success","data":[]})"),
    OfVmalert(Constant("prometheus/api/v1/rules", "/select/{}/prometheus/api/v1/rules", kJsonType, R"({"status":"success","data":{"groups":[]}})")),
    OfVmalert(Constant("prometheus/rules", "/select/{}/prometheus/api/v1/rules", kJsonType, R"({"status":"success","data":{"groups":[]}})")),
    OfVmalert(Constant("prometheus/api/v1/alerts", "/select/{}/prometheus/api/v1/alerts", kJsonType, R"({"status":"success","data":{"alerts":[]}})")),
    OfVmalert(Constant("prometheus/alerts", "/select/{}/prometheus/api/v1/alerts", kJsonType, R"({"status":"success","data":{"alerts":[]}})")),
    OfVmalert(Constant("prometheus/api/v1/notifiers", "/api/v1/notifiers", kJsonType, R"({"status":"success","data":{"notifiers":[]}})")),
    OfVmalert(Constant("prometheus/notifiers", "/api/v1/notifiers", kJsonType, R"({"status":"success","data":{"notifiers":[]}})")),
    RedirectTo("prometheus/vmalert", "../prometheus/vmalert/"),
    Constant("prometheus/-/healthy", {}, kTextType, "VictoriaMetrics is Healthy.\n"),
    Constant("prometheus/-/ready", {}, kTextType, "VictoriaMetrics is Ready.\n"),
    Api("graphite/metrics/find", "/select/{}/graphite/metrics/find", "/select/{}/graphite/metrics/find", HandleGraphiteFind),
    Api("graphite/metrics/find/", "/select/{}/graphite/metrics/find", "/select/{}/graphite/metrics/find", HandleGraphiteFind),
    Api("graphite/metrics/expand", "/select/{}/graphite/metrics/expand", "/select/{}/graphite/metrics/expand", HandleGraphiteExpand),
    Api("graphite/metrics/expand/", "/select/{}/graphite/metrics/expand", "/select/{}/graphite/metrics/expand", HandleGraphiteExpand),
    Api("graphite/metrics/index.json", "/select/{}/graphite/metrics/index.json", "/select/{}/graphite/metrics/index.json", HandleGraphiteIndex),
    Api("graphite/metrics/index.json/", "/select/{}/graphite/metrics/index.json", "/select/{}/graphite/metrics/index.json", HandleGraphiteIndex),
    WithoutCors(Api("graphite/tags", "/select/{}/graphite/tags", "/tags", HandleGraphiteTags)),
    WithoutCors(Api("graphite/tags/findSeries", "/select/{}/graphite/tags/findSeries", "/tags/findSeries", HandleGraphiteFindSeries)),
    Api("graphite/tags/autoComplete/tags", "/select/{}/graphite/tags/autoComplete/tags", "/tags/autoComplete/tags", HandleGraphiteCompleteTags),
    Api("graphite/tags/autoComplete/values", "/select/{}/graphite/tags/autoComplete/values", "/tags/autoComplete/values",
        HandleGraphiteCompleteValues),
    {Scope::kSelect, "graphite/tags/delSeries", "/select/{}/graphite/tags/delSeries", {}, true, false, true, HandleGraphiteDeleteSeries, 200, {}, {}},
    WithoutCors(Api("graphite/render", "/select/{}/graphite/render", "/render", HandleGraphiteRender)),
    Constant("graphite/tags/tagSeries", "/select/{}/graphite/tags/tagSeries", kTextType, kNoTagging, 501),
    Constant("graphite/tags/tagMultiSeries", "/select/{}/graphite/tags/tagMultiSeries", kTextType, kNoTagging, 501),
};

}  // namespace

std::span<const Route> Routes() { return kRoutes; }

const Route& TenantPage() { return kRoutes[2]; }

const Route* FindRoute(Scope scope, std::string_view path, std::string& path_arg) {
  if (path.empty()) return nullptr;
  for (const Route& route : kRoutes) {
    if (route.scope == scope && route.path == path) return &route;
  }
  if (scope == Scope::kSelect && path.starts_with(kVmalertHead)) return &kRoutes[1];
  if (scope == Scope::kSelect && path.starts_with(kTagValuesHead)) {
    path_arg = path.substr(kTagValuesHead.size());
    return &kRoutes[3];
  }
  if (scope == Scope::kSelect && path.starts_with(kFunctionsHead)) {
    path.remove_prefix(kFunctionsHead.size());
    if (path.starts_with('/')) path.remove_prefix(1);
    path_arg = path;
    return path.empty() ? &kRoutes[4] : &kRoutes[5];
  }
  if (scope != Scope::kSelect || !path.starts_with(kLabelValuesHead) || !path.ends_with(kLabelValuesTail)) return nullptr;
  path.remove_prefix(kLabelValuesHead.size());
  if (path.size() < kLabelValuesTail.size()) return nullptr;
  path.remove_suffix(kLabelValuesTail.size());
  path_arg = path;
  return &kRoutes[0];
}

}  // namespace vm::select
