#include "select/graphite/catalogue.h"

#include <set>

#include "select/format/json_text.h"

namespace vm::select::graphite {
namespace {

struct CatalogueEntry {
  std::string_view name;
  std::string_view group;
  std::string_view signature;  // Behind the name.
  /// `name:type` with `!` when it is required, `*` when it may be repeated, then `|` and options, `=` and the default, `~` and
  /// suggestions, all three as JSON; between arguments a `;`.
  std::string_view params;
};

constexpr CatalogueEntry kCatalogue[] = {
    {"absolute", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"add", "Transform", "(seriesList, constant)", "seriesList:seriesList!;constant:float!"},
    {"aggregate", "Combine", "(seriesList, func, xFilesFactor=None)", "seriesList:seriesList!;func:aggFunc!;xFilesFactor:float"},
    {"aggregateLine", "Calculate", "(seriesList, func='average', keepStep=False)",
     R"(seriesList:seriesList!;func:aggFunc="average";keepStep:boolean=false)"},
    {"aggregateSeriesLists", "Combine", "(seriesListFirstPos, seriesListSecondPos, func, xFilesFactor=None)",
     "seriesListFirstPos:seriesList!;seriesListSecondPos:seriesList!;func:aggFunc!;xFilesFactor:float"},
    {"aggregateWithWildcards", "Combine", "(seriesList, func, *positions)", "seriesList:seriesList!;func:aggFunc!;position:node*"},
    {"alias", "Alias", "(seriesList, newName)", "seriesList:seriesList!;newName:string!"},
    {"aliasByMetric", "Alias", "(seriesList)", "seriesList:seriesList!"},
    {"aliasByNode", "Alias", "(seriesList, *nodes)", "seriesList:seriesList!;nodes:nodeOrTag!*"},
    {"aliasByTags", "Alias", "(seriesList, *tags)", "seriesList:seriesList!;tags:nodeOrTag!*"},
    {"aliasQuery", "Alias", "(seriesList, search, replace, newName)",
     "seriesList:seriesList!;search:string!;replace:string!;newName:string!"},
    {"aliasSub", "Alias", "(seriesList, search, replace)", "seriesList:seriesList!;search:string!;replace:string!"},
    {"alpha", "Graph", "(seriesList, alpha)", "seriesList:seriesList!;alpha:float!"},
    {"applyByNode", "Combine", "(seriesList, nodeNum, templateFunction, newName=None)",
     "seriesList:seriesList!;nodeNum:node!;templateFunction:string!;newName:string"},
    {"areaBetween", "Graph", "(seriesList)", "seriesList:seriesList!"},
    {"asPercent", "Combine", "(seriesList, total=None, *nodes)", "seriesList:seriesList!;total:any;nodes:nodeOrTag*"},
    {"averageAbove", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"averageBelow", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"averageOutsidePercentile", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"averageSeries", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"averageSeriesWithWildcards", "Combine", "(seriesList, *position)", "seriesList:seriesList!;position:node*"},
    {"avg", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"changed", "Special", "(seriesList)", "seriesList:seriesList!"},
    {"color", "Graph", "(seriesList, theColor)", "seriesList:seriesList!;theColor:string!"},
    {"consolidateBy", "Special", "(seriesList, consolidationFunc)",
     R"(seriesList:seriesList!;consolidationFunc:string!|["average","avg","avg_zero","first","last","max","min","sum"])"},
    {"constantLine", "Special", "(value)", "value:float!"},
    {"countSeries", "Combine", "(*seriesLists)", "seriesLists:seriesList*"},
    {"cumulative", "Special", "(seriesList)", "seriesList:seriesList!"},
    {"currentAbove", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"currentBelow", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"dashed", "Graph", "(seriesList, dashLength=5)", "seriesList:seriesList!;dashLength:integer=5"},
    {"delay", "Transform", "(seriesList, steps)", "seriesList:seriesList!;steps:integer!"},
    {"derivative", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"diffSeries", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"diffSeriesLists", "Combine", "(seriesListFirstPos, seriesListSecondPos)",
     "seriesListFirstPos:seriesList!;seriesListSecondPos:seriesList!"},
    {"divideSeries", "Combine", "(dividendSeriesList, divisorSeries)", "dividendSeriesList:seriesList!;divisorSeries:seriesList!"},
    {"divideSeriesLists", "Combine", "(dividendSeriesList, divisorSeriesList)",
     "dividendSeriesList:seriesList!;divisorSeriesList:seriesList!"},
    {"drawAsInfinite", "Graph", "(seriesList)", "seriesList:seriesList!"},
    {"events", "Special", "(*tags)", "tags:string!*"},
    {"exclude", "Filter Series", "(seriesList, pattern)", "seriesList:seriesList!;pattern:string!"},
    {"exp", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"exponentialMovingAverage", "Calculate", "(seriesList, windowSize)",
     R"(seriesList:seriesList!;windowSize:intOrInterval!~[5,7,10,"1min","5min","10min","30min","1hour"])"},
    {"fallbackSeries", "Special", "(seriesList, fallback)", "seriesList:seriesList!;fallback:seriesList!"},
    {"filterSeries", "Filter Series", "(seriesList, func, operator, threshold)",
     R"(seriesList:seriesList!;func:aggFunc!;operator:string!|["!=","<","<=","=",">",">="];threshold:float!)"},
    {"grep", "Filter Series", "(seriesList, pattern)", "seriesList:seriesList!;pattern:string!"},
    {"group", "Combine", "(*seriesLists)", "seriesLists:seriesList*"},
    {"groupByNode", "Combine", "(seriesList, nodeNum, callback='average')",
     R"(seriesList:seriesList!;nodeNum:nodeOrTag!;callback:aggOrSeriesFunc="average")"},
    {"groupByNodes", "Combine", "(seriesList, callback, *nodes)", "seriesList:seriesList!;callback:aggOrSeriesFunc!;nodes:nodeOrTag!*"},
    {"groupByTags", "Combine", "(seriesList, callback, *tags)", "seriesList:seriesList!;callback:aggOrSeriesFunc!;tags:tag!*"},
    {"highest", "Filter Series", "(seriesList, n=1, func='average')", R"(seriesList:seriesList!;n:integer!;func:aggFunc="average")"},
    {"highestAverage", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:integer!"},
    {"highestCurrent", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:integer!"},
    {"highestMax", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:integer!"},
    {"hitcount", "Transform", "(seriesList, intervalString, alignToInterval=False)",
     R"(seriesList:seriesList!;intervalString:interval!~["10min","1h","1d"];alignToInterval:boolean=false)"},
    {"holtWintersAberration", "Calculate", "(seriesList, delta=3, bootstrapInterval='7d', seasonality='1d')",
     R"(seriesList:seriesList!;delta:integer=3;bootstrapInterval:interval="7d"~["7d","30d"];seasonality:interval="1d"~["1d","7d"])"},
    {"holtWintersConfidenceArea", "Calculate", "(seriesList, delta=3, bootstrapInterval='7d', seasonality='1d')",
     R"(seriesList:seriesList!;delta:integer=3;bootstrapInterval:interval="7d"~["7d","30d"];seasonality:interval="1d"~["1d","7d"])"},
    {"holtWintersConfidenceBands", "Calculate", "(seriesList, delta=3, bootstrapInterval='7d', seasonality='1d')",
     R"(seriesList:seriesList!;delta:integer=3;bootstrapInterval:interval="7d"~["7d","30d"];seasonality:interval="1d"~["1d","7d"])"},
    {"holtWintersForecast", "Calculate", "(seriesList, bootstrapInterval='7d', seasonality='1d')",
     R"(seriesList:seriesList!;bootstrapInterval:interval="7d"~["7d","30d"];seasonality:interval="1d"~["1d","7d"])"},
    {"identity", "Calculate", "(name)", "name:string!"},
    {"integral", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"integralByInterval", "Transform", "(seriesList, intervalUnit)", "seriesList:seriesList!;intervalUnit:string!"},
    {"interpolate", "Transform", "(seriesList, limit=inf)", "seriesList:seriesList!;limit:intOrInf=1.7976931348623157e+308"},
    {"invert", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"isNonNull", "Combine", "(seriesList)", "seriesList:seriesList!"},
    {"keepLastValue", "Transform", "(seriesList, limit=inf)", "seriesList:seriesList!;limit:intOrInf=1.7976931348623157e+308"},
    {"limit", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:integer!"},
    {"lineWidth", "Graph", "(seriesList, width)", "seriesList:seriesList!;width:float!"},
    {"linearRegression", "Calculate", "(seriesList, startSourceAt=None, endSourceAt=None)",
     "seriesList:seriesList!;startSourceAt:date;endSourceAt:date"},
    {"log", "Transform", "(seriesList, base=10)", "seriesList:seriesList!;base:integer=10"},
    {"logit", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"lowest", "Filter Series", "(seriesList, n=1, func='average')", R"(seriesList:seriesList!;n:integer!;func:aggFunc="average")"},
    {"lowestAverage", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:integer!"},
    {"lowestCurrent", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:integer!"},
    {"maxSeries", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"maximumAbove", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"maximumBelow", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"minMax", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"minSeries", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"minimumAbove", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"minimumBelow", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"mostDeviant", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:integer!"},
    {"movingAverage", "Calculate", "(seriesList, windowSize, xFilesFactor=None)",
     R"(seriesList:seriesList!;windowSize:intOrInterval!~[5,7,10,"1min","5min","10min","30min","1hour"];xFilesFactor:float)"},
    {"movingMax", "Calculate", "(seriesList, windowSize, xFilesFactor=None)",
     R"(seriesList:seriesList!;windowSize:intOrInterval!~[5,7,10,"1min","5min","10min","30min","1hour"];xFilesFactor:float)"},
    {"movingMedian", "Calculate", "(seriesList, windowSize, xFilesFactor=None)",
     R"(seriesList:seriesList!;windowSize:intOrInterval!~[5,7,10,"1min","5min","10min","30min","1hour"];xFilesFactor:float)"},
    {"movingMin", "Calculate", "(seriesList, windowSize, xFilesFactor=None)",
     R"(seriesList:seriesList!;windowSize:intOrInterval!~[5,7,10,"1min","5min","10min","30min","1hour"];xFilesFactor:float)"},
    {"movingSum", "Calculate", "(seriesList, windowSize, xFilesFactor=None)",
     R"(seriesList:seriesList!;windowSize:intOrInterval!~[5,7,10,"1min","5min","10min","30min","1hour"];xFilesFactor:float)"},
    {"movingWindow", "Calculate", "(seriesList, windowSize, func='average', xFilesFactor=None)",
     R"(seriesList:seriesList!;windowSize:intOrInterval!~[5,7,10,"1min","5min","10min","30min","1hour"];func:aggFunc="average";xFilesFactor:float)"},
    {"multiplySeries", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"multiplySeriesLists", "Combine", "(seriesListFirstPos, seriesListSecondPos)",
     "seriesListFirstPos:seriesList!;seriesListSecondPos:seriesList!"},
    {"multiplySeriesWithWildcards", "Combine", "(seriesList, *position)", "seriesList:seriesList!;position:node*"},
    {"nPercentile", "Calculate", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"nonNegativeDerivative", "Transform", "(seriesList, maxValue=None, minValue=None)",
     "seriesList:seriesList!;maxValue:float;minValue:float"},
    {"offset", "Transform", "(seriesList, factor)", "seriesList:seriesList!;factor:float!"},
    {"offsetToZero", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"perSecond", "Transform", "(seriesList, maxValue=None, minValue=None)", "seriesList:seriesList!;maxValue:float;minValue:float"},
    {"percentileOfSeries", "Combine", "(seriesList, n, interpolate=False)", "seriesList:seriesList!;n:float!;interpolate:boolean=false"},
    {"pow", "Transform", "(seriesList, factor)", "seriesList:seriesList!;factor:float!"},
    {"powSeries", "Transform", "(*seriesLists)", "seriesList:seriesList!*"},
    {"randomWalk", "Special", "(name, step=60)", "name:string!;step:integer=60"},
    {"randomWalkFunction", "Special", "(name, step=60)", "name:string!;step:integer=60"},
    {"rangeOfSeries", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"removeAbovePercentile", "Filter Data", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"removeAboveValue", "Filter Data", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"removeBelowPercentile", "Filter Data", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"removeBelowValue", "Filter Data", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"removeBetweenPercentile", "Filter Series", "(seriesList, n)", "seriesList:seriesList!;n:float!"},
    {"removeEmptySeries", "Filter Series", "(seriesList, xFilesFactor=None)", "seriesList:seriesList!;xFilesFactor:float"},
    {"round", "Transform", "(seriesList, precision=None)", "seriesList:seriesList!;precision:integer=0"},
    {"scale", "Transform", "(seriesList, factor)", "seriesList:seriesList!;factor:float!"},
    {"scaleToSeconds", "Transform", "(seriesList, seconds)", "seriesList:seriesList!;seconds:float!"},
    {"secondYAxis", "Graph", "(seriesList)", "seriesList:seriesList!"},
    {"seriesByTag", "Special", "(*tagExpressions)", "tagExpressions:string!*"},
    {"setXFilesFactor", "Special", "(seriesList, xFilesFactor)", "seriesList:seriesList!;xFilesFactor:float!"},
    {"sigmoid", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"sin", "Transform", "(name, amplitude=1, step=60)", "name:string!;amplitude:integer=1;step:integer=60"},
    {"sinFunction", "Transform", "(name, amplitude=1, step=60)", "name:string!;amplitude:integer=1;step:integer=60"},
    {"smartSummarize", "Transform", "(seriesList, intervalString, func='sum', alignTo=None)",
     R"(seriesList:seriesList!;intervalString:interval!~["10min","1h","1d"];func:aggFunc="sum";alignTo:string|[null,"days","hours","minutes","months","seconds","weeks","years"])"},
    {"sortBy", "Sorting", "(seriesList, func='average', reverse=False)",
     R"(seriesList:seriesList!;func:aggFunc="average";reverse:boolean=false)"},
    {"sortByMaxima", "Sorting", "(seriesList)", "seriesList:seriesList!"},
    {"sortByMinima", "Sorting", "(seriesList)", "seriesList:seriesList!"},
    {"sortByName", "Sorting", "(seriesList, natural=False, reverse=False)",
     "seriesList:seriesList!;natural:boolean=false;reverse:boolean=false"},
    {"sortByTotal", "Sorting", "(seriesList)", "seriesList:seriesList!"},
    {"squareRoot", "Transform", "(seriesList)", "seriesList:seriesList!"},
    {"stacked", "Graph", "(seriesLists, stackName='__DEFAULT__')", "seriesList:seriesList!;stack:string"},
    {"stddevSeries", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"stdev", "Calculate", "(seriesList, points, windowTolerance=0.1)", "seriesList:seriesList!;points:integer!;windowTolerance:float=0.1"},
    {"substr", "Special", "(seriesList, start=0, stop=0)", "seriesList:seriesList!;start:node=0;stop:node=0"},
    {"sum", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"sumSeries", "Combine", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"sumSeriesLists", "Combine", "(seriesListFirstPos, seriesListSecondPos)",
     "seriesListFirstPos:seriesList!;seriesListSecondPos:seriesList!"},
    {"sumSeriesWithWildcards", "Combine", "(seriesList, *position)", "seriesList:seriesList!;position:node*"},
    {"summarize", "Transform", "(seriesList, intervalString, func='sum', alignToFrom=False)",
     R"(seriesList:seriesList!;intervalString:interval!~["10min","1h","1d"];func:aggFunc="sum";alignToFrom:boolean=false)"},
    {"threshold", "Graph", "(value, label=None, color=None)", "value:float!;label:string;color:string"},
    {"time", "Transform", "(name, step=60)", "name:string!;step:integer=60"},
    {"timeFunction", "Transform", "(name, step=60)", "name:string!;step:integer=60"},
    {"timeShift", "Transform", "(seriesList, timeShift, resetEnd=True, alignDST=False)",
     R"(seriesList:seriesList!;timeShift:interval!~["1h","6h","12h","1d","2d","7d","14d","30d"];resetEnd:boolean=true;alignDst:boolean=false)"},
    {"timeSlice", "Transform", "(seriesList, startSliceAt, endSliceAt='now')",
     R"(seriesList:seriesList!;startSliceAt:date!;endSliceAt:date="now")"},
    {"timeStack", "Transform", "(seriesList, timeShiftUnit='1d', timeShiftStart=0, timeShiftEnd=7)",
     R"(seriesList:seriesList!;timeShiftUnit:interval="1d"~["1h","6h","12h","1d","2d","7d","14d","30d"];timeShiftStart:integer=0;timeShiftEnd:integer=7)"},
    {"transformNull", "Transform", "(seriesList, default=0, referenceSeries=None)",
     "seriesList:seriesList!;default:float=0;referenceSeries:seriesList"},
    {"unique", "Filter Series", "(*seriesLists)", "seriesLists:seriesList!*"},
    {"useSeriesAbove", "Filter Series", "(seriesList, value, search, replace)",
     "seriesList:seriesList!;value:float!;search:string!;replace:string!"},
    {"verticalLine", "Graph", "(ts, label=None, color=None)", "ts:date!;label:string;color:string"},
    {"weightedAverage", "Combine", "(seriesListAvg, seriesListWeight, *nodes)",
     "seriesListAvg:seriesList!;seriesListWeight:seriesList!;nodes:nodeOrTag*"},
    {"xFilesFactor", "Special", "(seriesList, xFilesFactor)", "seriesList:seriesList!;xFilesFactor:float!"},
};

constexpr std::string_view kAggregates =
    R"(["average","avg","avg_zero","count","current","diff","last","max","median","min","multiply","range","rangeOf","stddev","sum","total"])";
constexpr std::string_view kAggregatesOfSeries =
    R"(["average","averageSeries","averageSeriesWithWildcards","avg","avg_zero","count","countSeries","current","diff","diffSeries","last",)"
    R"("max","maxSeries","median","min","minSeries","multiply","multiplySeries","multiplySeriesWithWildcards","powSeries","range",)"
    R"("rangeOf","rangeOfSeries","stddev","stddevSeries","sum","sumSeries","sumSeriesWithWildcards","total"])";

/// What stands behind `mark` in the description of an argument, up to the next mark.
std::string_view PartBehind(std::string_view param, char mark) {
  const size_t begin = param.find(mark);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = param.substr(begin + 1);
  // Options of an operator hold marks themselves: a list ends with its bracket.
  if (rest.starts_with('[')) return rest.substr(0, rest.find(']') + 1);
  return rest.substr(0, rest.find('~'));
}

void AppendParam(std::string& out, std::string_view param) {
  const std::string_view head = param.substr(0, param.find_first_of("|=~"));
  const size_t colon = head.find(':');
  std::string_view type = head.substr(colon + 1);
  const bool is_repeated = type.ends_with('*');
  if (is_repeated) type.remove_suffix(1);
  const bool is_required = type.ends_with('!');
  if (is_required) type.remove_suffix(1);
  out += "{\"name\":";
  AppendGoJsonString(out, head.substr(0, colon));
  out += ",\"type\":";
  AppendGoJsonString(out, type);
  if (is_required) out += ",\"required\":true";
  if (is_repeated) out += ",\"multiple\":true";
  param.remove_prefix(head.size());
  std::string_view options;
  if (param.starts_with('|')) {
    options = PartBehind(param, '|');
    param.remove_prefix(options.size() + 1);
  } else if (type == "aggFunc") {
    options = kAggregates;
  } else if (type == "aggOrSeriesFunc") {
    options = kAggregatesOfSeries;
  }
  if (const std::string_view value = PartBehind(param, '='); !value.empty()) out.append(",\"default\":").append(value);
  if (!options.empty()) out.append(",\"options\":").append(options);
  if (const std::string_view values = PartBehind(param, '~'); !values.empty()) out.append(",\"suggestions\":").append(values);
  out += '}';
}

void AppendEntry(std::string& out, const CatalogueEntry& entry) {
  const std::string name(entry.name);
  out += "{\"name\":";
  AppendGoJsonString(out, name);
  out += ",\"function\":";
  AppendGoJsonString(out, name + std::string(entry.signature));
  out += ",\"description\":";
  AppendGoJsonString(out, "See https://graphite.readthedocs.io/en/stable/functions.html#graphite.render.functions." + name);
  out += ",\"module\":\"graphite.render.functions\",\"group\":";
  AppendGoJsonString(out, entry.group);
  out += ",\"params\":[";
  for (std::string_view rest = entry.params; !rest.empty();) {
    const size_t end = rest.find(';');
    AppendParam(out, rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (!rest.empty()) out += ',';
  }
  out += "]}";
}

/// `"name":{...},"name":{...}`, by names.
std::string Entries(std::string_view group) {
  std::string out;
  for (const CatalogueEntry& entry : kCatalogue) {
    if (!group.empty() && entry.group != group) continue;
    if (!out.empty()) out += ',';
    AppendGoJsonString(out, entry.name);
    out += ':';
    AppendEntry(out, entry);
  }
  return out;
}

}  // namespace

std::string FunctionsJson(bool is_grouped, std::string_view group) {
  if (!is_grouped) return "{" + Entries(group) + "}";
  std::set<std::string_view> groups;
  for (const CatalogueEntry& entry : kCatalogue) {
    if (group.empty() || entry.group == group) groups.insert(entry.group);
  }
  std::string out = "{";
  for (const std::string_view name : groups) {
    if (out.size() > 1) out += ',';
    AppendGoJsonString(out, name);
    out += ":{" + Entries(name) + "}";
  }
  return out + "}";
}

std::optional<std::string> FunctionJson(std::string_view name) {
  for (const CatalogueEntry& entry : kCatalogue) {
    if (entry.name != name) continue;
    std::string out;
    AppendEntry(out, entry);
    return out;
  }
  return std::nullopt;
}

}  // namespace vm::select::graphite
