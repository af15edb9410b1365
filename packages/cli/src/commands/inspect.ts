/** @file `blt inspect`: the contents of a model folder or of a run. */
import { dirname, resolve } from 'node:path';
import { checkpointPlan, configToHuggingFace, countValues } from '@blt-ts/blt';
import { chooseBackend } from '../config/backend-choice.ts';
import { loadModel } from '../run/find-model.ts';
import { RunFolder } from '../run/folder.ts';
import { copiedRate, flopsPerByte, parametersByPart } from '../run/model-size.ts';
import type { RunRecord } from '../run/record.ts';
import { counted, humanBytes, humanCount } from '../terminal/human-units.ts';
import { say, sayJson } from '../terminal/output.ts';
import { inspectPlan } from './inspect-plan.ts';

export interface InspectFlags {
  readonly plan?: boolean;
  readonly tensors?: boolean;
  readonly json?: boolean;
}

/** The record of the run that a step lies in, if it lies in one. */
async function runOf(folder: string): Promise<RunRecord | null> {
  try {
    return await new RunFolder(dirname(resolve(folder))).record();
  } catch {
    return null;
  }
}

/** `blt inspect`: what is in a model's folder. @returns the exit code */
export async function inspectCommand(path: string | undefined, flags: InspectFlags): Promise<number> {
  if (flags.plan) return inspectPlan(path, flags);
  const { backend } = await chooseBackend({ backend: 'reference' });
  const { checkpoint, folder } = await loadModel(path, backend);
  const { config } = checkpoint;
  const plan = checkpointPlan(config);
  const parts = parametersByPart({ config });
  const total = countValues(checkpoint.params) + (checkpoint.patcher ? countValues(checkpoint.patcher) : 0);
  const flops = flopsPerByte({ config }, 4.5, 8192);
  const run = (await runOf(folder))?.plan;
  if (flags.json) {
    sayJson({
      folder,
      config: configToHuggingFace(config),
      parameters: Object.fromEntries(parts.map((p) => [p.part, p.count])),
      total,
      modelOrigin: run?.modelOrigin ?? null,
      globalOrigin: run?.globalOrigin ?? null,
      entropyOrigin: run?.entropyOrigin ?? null,
      tensors: Object.fromEntries(plan.map((p) => [p.name, p.shape])),
    });
    return 0;
  }
  const line = (name: string, text: string) => say(`${name.padEnd(24)} ${text}`);
  line('folder', folder);
  for (const { part, count } of parts) line(part, humanCount(count));
  line('total', `${humanCount(total)} parameters, ${humanBytes(4 * total)} in float32`);
  line(
    'behaviour',
    `${config.behaviour}${config.window === null ? '' : `, local window ${counted(config.window, 'byte')}`}`,
  );
  if (run?.modelOrigin) line('began as', run.modelOrigin.source);
  if (run?.globalOrigin) line('global blocks', `began as ${run.globalOrigin.source}, trained ${copiedRate(run)}`);
  if (run?.entropyOrigin) line('entropy model from', run.entropyOrigin.source);
  line('patching', JSON.stringify(config.patching));
  line(
    'hash n-grams',
    `sizes ${config.hash.groupSizes.join(', ')}; ${config.hash.functions} x ${counted(config.hash.vocab, 'row')} each`,
  );
  line(
    'FLOPs per byte',
    `${humanCount(flops.model)} forward at 4.5 bytes a patch, entropy model ${humanCount(flops.entropyModel)}`,
  );
  if (flags.tensors) for (const { name, shape } of plan) line(`  ${name}`, `[${shape.join(', ')}]`);
  else say('(--tensors lists every tensor)');
  return 0;
}
