/** @file The two files of a training state in memory, for tests that change a byte of them, and back. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SessionState } from '@blt-ts/blt';
import { type SafetensorsInput, writeSafetensors } from '@blt-ts/tensor';
import { readState, STATE_ARRAYS, STATE_JSON, stateJsonText } from '../../packages/cli/src/run/state-files.ts';

/** The two files of a state, in memory. */
export function stateFiles({ json, arrays }: SessionState): Record<string, Uint8Array | string> {
  const dtype = (data: Float32Array | Int32Array | Float64Array) =>
    data instanceof Float32Array ? 'F32' : data instanceof Int32Array ? 'I32' : 'F64';
  return {
    [STATE_JSON]: stateJsonText(json),
    [STATE_ARRAYS]: writeSafetensors(
      [...arrays].map(([name, data]): [string, SafetensorsInput] => [
        name,
        { dtype: dtype(data), shape: [data.length], data },
      ]),
    ),
  };
}

/** The state that two files hold, read from a disk as a run reads it. */
export function stateOf(json: string, arrays: Uint8Array): ReturnType<typeof readState> {
  const folder = mkdtempSync(join(tmpdir(), 'blt-state-'));
  try {
    writeFileSync(join(folder, STATE_JSON), json);
    writeFileSync(join(folder, STATE_ARRAYS), arrays);
    return readState(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
