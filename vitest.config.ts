import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

const conditions = ['blt-reference', '@blt-ts/source'];

/** Tests that need a process which nobody else has used. */
const ALONE = [
  // About the garbage collector.
  'test/tensor/memory.test.ts',
  'test/tensor/wasm/unowned.test.ts',
  // gpu.js keeps the first device of a process for good.
  'test/**/*gpu*.test.ts',
  'test/tensor/gpu/**/*.test.ts',
  // Whoever waits for a signal in a process stops the others there.
  'test/cli/terminal/interrupt.test.ts',
  // A program runs when it is imported for the first time.
  'test/examples.test.ts',
];

export default defineConfig({
  // Tests and editors run on the TypeScript sources; users get dist (the same trick as zod's "@zod/source").
  // Tests that name no backend mean the definition: `blt-reference` makes it the default one. Those of the default start a process.
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    setupFiles: ['test/support/seed.ts'],
    // Generous: a busy machine is no error.
    testTimeout: process.env.BLT_SLOW ? 7_200_000 : 180_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // What a test replaces is put back after it.
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    projects: [
      // The files of a worker share its modules, because loading them for each file anew took a third of the time.
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...ALONE],
          isolate: false,
        },
      },
      { extends: true, test: { name: 'alone', include: ALONE } },
    ],
    // One more than there are cores, because tests of browsers and of signals wait most of their time.
    maxWorkers: availableParallelism() + 1,
    // The Node that runs the tests runs the commands too, whatever else stands in PATH.
    env: { BLT_THIS_NODE: '1' },
  },
});
