/** perf_event_open; the rest of a perf event is its descriptor's (tracing/perf.ts). */
import { perfEventOpen } from '../tracing/perf.ts';
import type { Handlers } from './handlers.ts';

export const perfHandlers = { perf_event_open: perfEventOpen } satisfies Partial<Handlers>;
