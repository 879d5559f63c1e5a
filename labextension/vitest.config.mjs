import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'demo/*.test.ts', 'models/*.test.mjs'],
    testTimeout: 30_000, // property tests are slow on a busy machine
    setupFiles: ['vitest.setup.mjs']
  }
});
