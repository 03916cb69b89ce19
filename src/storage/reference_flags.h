#pragma once

#include "lib/flags/flags.h"

namespace vm::storage {

/// The flags of the reference v1.150.0 beside those common to all daemons (lib/daemon). Those that mean nothing
/// here yet are taken and ignored, so that existing command lines start; docs/compatibility.md says which work.
inline constexpr flags::KnownFlag kReferenceFlags[] = {
    {"bigMergeConcurrency", false},
    {"dedup.minScrapeInterval", false},
    {"denyQueriesOutsideRetention", true},
    {"disablePerDayIndex", true},
    {"finalMergeDelay", false},
    {"forceFlushAuthKey", false},
    {"forceMergeAuthKey", false},
    {"futureRetention", false},
    {"inmemoryDataFlushInterval", false},
    {"logNewSeries", true},
    {"logNewSeriesAuthKey", false},
    {"maxBackfillAge", false},
    {"precisionBits", false},
    {"retentionPeriod", false},
    {"retentionTimezoneOffset", false},
    {"rpc.disableCompression", true},
    {"search.maxConcurrentRequests", false},
    {"search.maxQueueDuration", false},
    {"search.maxTagKeys", false},
    {"search.maxTagValueSuffixesPerSearch", false},
    {"search.maxTagValues", false},
    {"search.maxUniqueTimeseries", false},
    {"smallMergeConcurrency", false},
    {"snapshotAuthKey", false},
    {"snapshotCreateTimeout", false},
    {"snapshotsMaxAge", false},
    {"storage.cacheSizeIndexDBDataBlocks", false},
    {"storage.cacheSizeIndexDBDataBlocksSparse", false},
    {"storage.cacheSizeIndexDBIndexBlocks", false},
    {"storage.cacheSizeIndexDBTagFilters", false},
    {"storage.cacheSizeMetricNamesStats", false},
    {"storage.cacheSizeStorageMetricName", false},
    {"storage.cacheSizeStorageTSID", false},
    {"storage.finalDedupScheduleCheckInterval", false},
    {"storage.idbPrefillStart", false},
    {"storage.maxDailySeries", false},
    {"storage.maxHourlySeries", false},
    {"storage.maxMetadataStorageSize", false},
    {"storage.minFreeDiskSpaceBytes", false},
    {"storage.trackMetricNamesStats", true},
    {"storage.vminsertConnsShutdownDuration", false},
    {"storageDataPath", false},
    {"vminsertAddr", false},
    {"vmselectAddr", false},
};

}  // namespace vm::storage
