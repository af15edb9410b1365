/** @file Signals before there is anything to save: one sentence, and the code that a shell expects. */
import { expect, test, vi } from 'vitest';
import { endAtSignal } from '../../../packages/cli/src/terminal/interrupt.ts';

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s ends with code %i and says why', (signal, code) => {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  const written = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const begun = endAtSignal('nothing to save');
  try {
    process.emit(signal, signal);
    expect(written.mock.calls).toEqual([[`blt: stopped by ${signal}: nothing to save\n`]]);
    expect(exit.mock.calls).toEqual([[code]]);
    begun();
    expect(process.listeners(signal)).toEqual([]);
  } finally {
    begun();
    written.mockRestore();
    exit.mockRestore();
  }
});
