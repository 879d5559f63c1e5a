import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'demo/*.test.ts', 'models/*.test.mjs'],
    setupFiles: ['vitest.setup.mjs']
  }
});
