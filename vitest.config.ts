import { availableParallelism } from 'node:os';
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
    // The files of a worker share its modules, because loading them for each file anew took a third of the time. What a test replaces is
    // put back after it.
    isolate: false,
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    // One more than there are cores, because tests of browsers and of signals wait most of their time.
    maxWorkers: availableParallelism() + 1,
    // The Node that runs the tests runs the commands too, whatever else stands in PATH.
    env: { BLT_THIS_NODE: '1' },
  },
});
