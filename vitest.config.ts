import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    exclude: ['tests/page/**'],
    environment: 'node',
    pool: 'threads',
    // Every file imports the whole engine, which keeps no state of its own between worlds: once a worker is enough. Two files at a time take half as long.
    isolate: false,
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Tests that could run for ever count the engine's events; this only ends a file that hangs, also on a slow machine.
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});
