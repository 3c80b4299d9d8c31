/** Units: time in nanoseconds, memory in bytes, pages of 4 KiB. */
export const US = 1_000;
export const MS = 1_000_000;
export const SECOND = 1_000_000_000;
export const MINUTE = 60 * SECOND;
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const PAGE = 4096;
/** Wall-clock time at which every world begins: 2026-01-15T09:00:00Z, in seconds since 1970. */
export const EPOCH_SECONDS = 1_768_467_600;
