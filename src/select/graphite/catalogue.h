#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vm::select::graphite {

/// The supported functions and their arguments as JSON, for editors of queries: by their names, or by groups and then names.
/// `group`: only these; empty: all.
std::string FunctionsJson(bool is_grouped, std::string_view group);
/// One of them; nothing when it is unknown.
std::optional<std::string> FunctionJson(std::string_view name);

}  // namespace vm::select::graphite
