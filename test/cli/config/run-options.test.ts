import { expect, test } from 'vitest';
import type { FileConfig } from '../../../packages/cli/src/config/config-schema.ts';
import { OPTIONS, type OptionRow } from '../../../packages/cli/src/config/options.ts';
import { runOptions } from '../../../packages/cli/src/config/run-options.ts';
import { DEFAULT_HOUSEKEEPING, housekeepingOf } from '../../../packages/cli/src/run/housekeeping.ts';

/** Read by `blt train` itself: where data, run and backend come from. */
const READ_ELSEWHERE = new Set([
  'run',
  'backend',
  'threads',
  'data',
  'held_out',
  'held_out_fraction',
  'raw',
  'split',
  'dedupe',
  'text_field',
  'raw',
  'prepared',
  'max_memory',
  'init_global',
  'model',
  'from',
  'patcher',
]);

test('every key of the config file is read by somebody', () => {
  const read = new Set<string>();
  const watched = (path: string): object =>
    new Proxy(
      {},
      {
        get(_, key) {
          const name = `${path}${String(key)}`;
          read.add(name);
          if (path === '' && ['model', 'patcher', 'entropy_model', 'train'].includes(String(key)))
            return watched(`${name}.`);
          // Asks for the keys that only matter together with this one.
          return key === 'on_spike' ? 'skip' : undefined;
        },
      },
    );
  const config = watched('') as FileConfig;
  runOptions(config);
  housekeepingOf(DEFAULT_HOUSEKEEPING, config, {});
  const unread = (OPTIONS as readonly OptionRow[])
    .filter(({ key }) => !READ_ELSEWHERE.has(key))
    .map(({ section, key }) => (section === undefined ? key : `${section}.${key}`))
    .filter((name) => !read.has(name));
  expect(unread).toEqual([]);
});
