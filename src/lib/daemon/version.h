#pragma once

#include <string>
#include <string_view>

namespace vm::daemon {

/// "v0.1.0-cluster".
std::string_view ShortVersion();
/// "vminsert-20261101-000000-tags-v0.1.0-cluster-0-g0123456789": name, time and hash of the commit that was configured.
/// Starts with the name of the daemon: dashboards match on it.
std::string LongVersion(std::string_view name);

}  // namespace vm::daemon
