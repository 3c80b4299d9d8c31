import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    exclude: ['tests/page/**'],
    environment: 'node',
    pool: 'threads',
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
});
