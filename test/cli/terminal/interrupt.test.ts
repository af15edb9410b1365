/** @file Signals before there is anything to save: one sentence, and an end that a shell reports as 128 and the signal's number. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { endAtSignal } from '../../../packages/cli/src/terminal/interrupt.ts';
import { BLT } from '../../support/command.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends the process and says why', (signal) => {
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => true);
  const written = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const begun = endAtSignal('nothing to save');
  try {
    process.emit(signal, signal);
    expect(written.mock.calls).toEqual([[`blt: stopped by ${signal}: nothing to save\n`]]);
    expect(kill.mock.calls).toEqual([[process.pid, signal]]);
    expect(process.listeners(signal)).toEqual([]);
  } finally {
    begun();
    written.mockRestore();
    kill.mockRestore();
  }
});

test.skipIf(process.platform === 'win32')('a run that waits for the writer of a pipe ends at a signal', () => {
  const cwd = temporaryFolder();
  expect(spawnSync('mkfifo', [join(cwd, 'pipe')]).status).toBe(0);
  const command = `"${process.execPath}" "${BLT}" train --this-node -d pipe & sleep 2; kill -TERM $!; wait $!`;
  const { status, stderr } = spawnSync('sh', ['-c', command], { cwd, encoding: 'utf8', timeout: 20_000 });
  expect([status, stderr]).toEqual([143, expect.stringContaining('stopped by SIGTERM')]);
});
