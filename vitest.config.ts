import { defineConfig } from 'vitest/config';

const conditions = ['blt-reference', '@blt-ts/source'];

export default defineConfig({
  // Tests and editors run on the TypeScript sources; users get dist (the same trick as zod's "@zod/source").
  // Tests that name no backend mean the definition: `blt-reference` makes it the default one. Those of the default start a process.
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/seed.ts'],
    // Generous: a busy machine is no error.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // By default one core is left free, which on two cores means one test file after the other.
    maxWorkers: '100%',
    // The Node that runs the tests runs the commands too, whatever else stands in PATH.
    env: { BLT_THIS_NODE: '1' },
  },
});
