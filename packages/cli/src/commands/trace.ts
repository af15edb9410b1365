/** @file `blt trace`: what a checkpoint makes of given ids, in a file, so that any other implementation can be compared with ours. */
import { readFileSync } from 'node:fs';
import { type BltConfig, traceCheckpointAsync, VOCAB_SIZE, validateConfig } from '@blt-ts/blt';
import { writeSafetensors } from '@blt-ts/tensor';
import { announce, chooseBackend } from '../config/backend-choice.ts';
import type { BackendName } from '../config/backend-names.ts';
import { checkCanWrite, writeFileAtomically } from '../files/atomic-file.ts';
import { parseJson } from '../files/small-file.ts';
import { readJson } from '../files/weight-files.ts';
import { loadModel } from '../run/find-model.ts';
import { UserError } from '../terminal/errors.ts';
import { sayJson } from '../terminal/output.ts';

export interface TraceFlags {
  readonly model?: string;
  readonly ids: string;
  readonly threshold?: number;
  readonly grads?: boolean;
  readonly behaviour?: BltConfig['behaviour'];
  readonly out: string;
  readonly backend?: BackendName;
  readonly threads?: number;
}

/** `{"input_ids": [[...], ...]}` */
function readRows(file: string): Int32Array[] {
  const json = file === '-' ? parseJson(readFileSync(0, 'utf8'), 'standard input (--ids -)', 2) : readJson(file);
  const rows = (json as { input_ids?: unknown } | null)?.input_ids;
  if (!Array.isArray(rows) || rows.length === 0 || !rows.every(Array.isArray)) {
    throw new UserError(`${file} must hold {"input_ids": [[1, 76, ...], ...]} with at least one row`, 2);
  }
  return rows.map((row: unknown[], r) => {
    if (row.length === 0) throw new UserError(`${file}: row ${r} is empty; a row needs at least one id`, 2);
    const bad = row.findIndex((id) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= VOCAB_SIZE);
    if (bad >= 0) {
      throw new UserError(`${file}: row ${r} has ${JSON.stringify(row[bad])} at place ${bad}; ids are 0 .. 259`, 2);
    }
    return Int32Array.from(row as number[]);
  });
}

/** `blt trace`. @returns the exit code */
export async function traceCommand(flags: TraceFlags): Promise<number> {
  const rows = readRows(flags.ids);
  checkCanWrite(flags.out);
  const choice = await chooseBackend(flags);
  const { checkpoint, folder } = await loadModel(flags.model, choice.backend);
  announce(choice);
  const { patching } = checkpoint.config;
  if (flags.threshold !== undefined && patching.mode !== 'entropy') {
    throw new UserError(`${folder} cuts patches by ${patching.mode}; --threshold is for entropy patching`, 2);
  }
  const config: BltConfig = {
    ...checkpoint.config,
    ...(flags.behaviour ? { behaviour: flags.behaviour } : {}),
    ...(flags.threshold !== undefined && patching.mode === 'entropy'
      ? { patching: { ...patching, threshold: flags.threshold } }
      : {}),
  };
  validateConfig(config);
  const { tensors, loss, patchLengths } = await traceCheckpointAsync({ ...checkpoint, config }, rows, {
    grads: flags.grads,
  });
  await writeFileAtomically(flags.out, writeSafetensors(tensors));
  const patch_lengths = patchLengths.map((lengths) => [...lengths]);
  sayJson({ loss, patch_lengths });
  return 0;
}
