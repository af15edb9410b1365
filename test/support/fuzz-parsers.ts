/**
 * @file Fuzzing of everything that reads what others wrote. An input is broken from a corpus that starts with valid files and
 * takes in every input that was answered in a new way, so that later ones go deeper. The law: a parser answers, or throws one of the
 * library's own errors with a short message; and no prototype is touched.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  type Checkpoint,
  checkpointFromSafetensors,
  checkpointToSafetensors,
  configFromFacebook,
  configFromHuggingFace,
  configFromShapes,
  configToHuggingFace,
  facebookArguments,
  planRun,
  Session,
  storedInMemory,
} from '@blt-ts/blt';
import { Random, referenceBackend } from '@blt-ts/tensor';
import { storedInFolder } from '../../packages/cli/src/checkpoint-files.ts';
import { parseConfig } from '../../packages/cli/src/config-file.ts';
import { parseJsonl } from '../../packages/cli/src/data/jsonl.ts';
import { gunzipBytes } from '../../packages/cli/src/data/read-file.ts';
import { parseMetrics } from '../../packages/cli/src/metrics-file.ts';
import { DEFAULT_CARE, parseRecord, recordText } from '../../packages/cli/src/run-record.ts';
import { parseState, STATE_ARRAYS, STATE_JSON, stateFiles } from '../../packages/cli/src/training-state.ts';
import { runMutation } from '../tensor/safetensors-fuzz.ts';
import { MUTATIONS } from '../tensor/safetensors-mutations.ts';
import { breakBytes, breakJson, breakText } from './fuzz-inputs.ts';
import { corpus, tinyPlan } from './tiny-run.ts';

const OWN_ERRORS = new Set(['UserError', 'ConfigError', 'SafetensorsError']);
const LONGEST_MESSAGE = 4000;

interface Target {
  readonly name: string;
  /** Share of the inputs. */
  readonly weight: number;
  readonly seeds: readonly (string | Uint8Array)[];
  readonly change: (input: never, random: Random) => string | Uint8Array;
  /** May return what is to be compared for novelty. */
  readonly parse: (input: never) => unknown | Promise<unknown>;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const textTarget = (name: string, seeds: string[], parse: (text: string) => unknown, weight = 1): Target => ({
  name,
  weight,
  seeds,
  change: (text: string, random) => (random.integer(3) === 0 ? breakText(text, random) : breakJson(text, random)),
  parse,
});
const bytesTarget = (name: string, seeds: Uint8Array[], parse: (bytes: Uint8Array) => unknown, weight = 1): Target => ({
  name,
  weight,
  seeds,
  change: breakBytes,
  parse,
});

const TOML = `size = "tiny"
run = "mine"
seed = 3
data = "book.txt"
[patcher]
patching_mode = "entropy"
patch_size = 4.5
[model]
hash_sizes = [3, 4, 5]
k = 2
[train]
lr = 2e-3
steps = 1_000
on_spike = "skip"
`;

const FACEBOOK = JSON.stringify({
  args: {
    model: {
      dim_local_encoder: 8,
      n_layers_local_encoder: 1,
      n_heads: 2,
      rope_theta: 500000,
      patching_mode: 'space',
      encoder_hash_byte_group_size: [3, 4],
      vocab_size: 260,
    },
  },
});

const isNamedShape = (x: unknown): x is [string, { shape: number[] }] =>
  Array.isArray(x) &&
  typeof x[0] === 'string' &&
  Array.isArray(x[1]?.shape) &&
  x[1].shape.every((n: unknown) => Number.isSafeInteger(n));

/** Everything that reads files, with valid files to start from. */
export async function fuzzTargets(): Promise<Target[]> {
  const record = recordText({
    format: 1,
    version: '0.1.0',
    command: 'blt train',
    startedAt: '2026-01-01T00:00:00.000Z',
    data: ['book.txt'],
    heldOut: null,
    heldOutFraction: 0.1,
    textField: null,
    dataHash: 'ab'.repeat(32),
    care: DEFAULT_CARE,
    plan: planRun({ size: 'nano' }, 1_000_000),
  });
  const session = new Session(tinyPlan({ patchingMode: 'space', steps: 2 }), corpus, referenceBackend);
  await session.next();
  await session.next();
  const files = stateFiles(await session.state());
  const stateJson = String(files[STATE_JSON]);
  const stateArrays = files[STATE_ARRAYS] as Uint8Array;
  // A header of a real state and a little data: mutations should hit the header.
  const smallArrays = stateFiles({
    json: JSON.parse(stateJson),
    arrays: new Map<string, Float32Array | Int32Array>([
      ['loop.p.a', new Float32Array(4)],
      ['patches.train', new Int32Array(3)],
    ]),
  })[STATE_ARRAYS] as Uint8Array;
  const checkpoint: Checkpoint = session.checkpoint();
  const weights = checkpointToSafetensors(checkpoint);
  const stored = storedInMemory(weights);
  const shapes = [...stored].map(([name, { shape }]) => [name, { shape }]);
  const folder = mkdtempSync(join(tmpdir(), 'blt-fuzz-'));
  writeFileSync(join(folder, 'a.safetensors'), smallArrays);
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const huggingFace = JSON.stringify(configToHuggingFace(checkpoint.config));
  return [
    textTarget('run config.json', [record], (text) => parseRecord(text, 'config.json')),
    textTarget('training_state.json', [stateJson], (text) => parseState(text, smallArrays, 'step')),
    bytesTarget('training_state.safetensors', [smallArrays, stateArrays.slice(0, 2048)], (bytes) =>
      parseState(stateJson, bytes, 'step'),
    ),
    textTarget(
      'a restored state',
      [stateJson],
      (text) => restore(session.plan, parseState(text, stateArrays, 'step')),
      0.1,
    ),
    textTarget('Hugging Face config.json', [huggingFace], (text) => configFromHuggingFace(json(text))),
    textTarget(
      'a checkpoint with another config.json',
      [huggingFace],
      (text) => checkpointFromSafetensors(weights, configFromHuggingFace(json(text)), referenceBackend),
      0.2,
    ),
    textTarget('Facebook params.json', [FACEBOOK], (text) => {
      const args = facebookArguments(json(text));
      return args && configFromFacebook(args, stored);
    }),
    textTarget('a list of tensor names and shapes', [JSON.stringify(shapes)], (text) => {
      const list = json(text);
      // `blt inspect --plan` checks that much before.
      if (!Array.isArray(list) || !list.every(isNamedShape)) return;
      return configFromShapes(new Map(list));
    }),
    textTarget(
      'an index of shards',
      ['{"metadata":{"total_size":1},"weight_map":{"loop.p.a":"a.safetensors"}}'],
      (text) => {
        writeFileSync(join(folder, 'model.safetensors.index.json'), text);
        return storedInFolder(folder);
      },
      0.05,
    ),
    textTarget('config.toml', [TOML], (text) => parseConfig(text, 'x.toml')),
    textTarget('config in JSON', ['{"size":"nano","train":{"steps":5},"model":{"hash_sizes":[3]}}'], (text) =>
      parseConfig(text, 'x.json'),
    ),
    textTarget(
      'metrics.jsonl',
      ['{"step":1,"bytes":10,"lossNats":2.5}\n{"step":2,"bytes":20,"heldOutBitsPerByte":2}\n'],
      (text) => parseMetrics(text, 'metrics.jsonl'),
    ),
    bytesTarget('JSON Lines', [utf8('{"text":"a"}\n"b"\n\n{"content":"\\ud83d\\ude00"}\n')], (bytes) =>
      parseJsonl(bytes, 'x.jsonl'),
    ),
    bytesTarget('gzip', [gzipSync('hello hello hello'), gzipSync(new Uint8Array(2000))], (bytes) =>
      gunzipBytes(bytes, 'x.gz', 100_000),
    ),
    {
      name: 'safetensors',
      weight: 3,
      seeds: [''],
      change: () => '',
      parse: () => undefined,
    },
  ];
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The loader turns this into a UserError of its own.
    throw Object.assign(new Error((error as Error).message), { name: 'UserError' });
  }
}

/** Into a session of the same plan: plain errors are the session's way to say that a state does not fit; the command wraps them. */
function restore(plan: Session['plan'], state: ReturnType<typeof parseState>): void {
  try {
    new Session(plan, corpus, referenceBackend).restore(state);
  } catch (error) {
    if (!(error instanceof Error) || error.constructor !== Error) throw error;
    throw Object.assign(error, { name: 'UserError' });
  }
}

export interface FuzzCount {
  inputs: number;
  refused: number;
  /** Different answers seen. */
  answers: number;
}

/**
 * @returns per target how many inputs were tried and refused
 * @throws Error naming target and seed, with the input, if a law is broken
 */
export async function fuzzParsers(options: {
  inputs: number;
  seed: number;
  progress?: (done: number) => void;
}): Promise<Map<string, FuzzCount>> {
  const targets = await fuzzTargets();
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  const counts = new Map<string, FuzzCount>();
  let done = 0;
  for (const [t, target] of targets.entries()) {
    const count: FuzzCount = { inputs: 0, refused: 0, answers: 0 };
    counts.set(target.name, count);
    const share =
      t === targets.length - 1 ? options.inputs - done : Math.round((options.inputs * target.weight) / total);
    const known = new Set<string>();
    const pool: (string | Uint8Array)[] = [];
    for (let i = 0; i < share; i++) {
      const seed = options.seed + i;
      const random = new Random(seed);
      if (target.name === 'safetensors') {
        const mutation = MUTATIONS[i % MUTATIONS.length];
        try {
          if (runMutation(mutation, random) === 'refused') count.refused++;
        } catch (cause) {
          throw new Error(`fuzzing safetensors, "${mutation.name}", seed ${seed}: ${(cause as Error).message}`, {
            cause,
          });
        }
      } else {
        // Half of the inputs are new breaks of valid files, half break further what was answered in a new way.
        const from = pool.length > 0 && random.integer(2) === 1 ? pool : target.seeds;
        const { length } = target.seeds;
        const input = i < length ? target.seeds[i] : target.change(from[random.integer(from.length)] as never, random);
        const answer = await ask(target, input, seed);
        if (i === 0 && answer !== 'read')
          throw new Error(`fuzzing ${target.name}: the valid file is refused: ${answer}`);
        if (answer !== 'read') count.refused++;
        if (!known.has(answer)) {
          known.add(answer);
          if (pool.length < 400 && input.length < 20_000) pool.push(input);
        }
      }
      count.inputs++;
      if (++done % 10_000 === 0) options.progress?.(done);
    }
    count.answers = known.size;
  }
  return counts;
}

/** What the parser said: 'read', or its complaint without the numbers and names of this one input. */
async function ask(target: Target, input: string | Uint8Array, seed: number): Promise<string> {
  let answer = 'read';
  try {
    await target.parse(input as never);
  } catch (error) {
    const { name, message } = error as Error;
    if (!(error instanceof Error) || !OWN_ERRORS.has(name) || message.length > LONGEST_MESSAGE || message === '') {
      throw new Error(`fuzzing ${target.name}, seed ${seed}: ${name}: ${message?.slice(0, 300)}\n${show(input)}`, {
        cause: error,
      });
    }
    answer = message.replace(/[0-9]+|"[^"]*"|'[^']*'/g, '*').slice(0, 120);
  }
  if ('polluted' in {})
    throw new Error(`fuzzing ${target.name}, seed ${seed}: a prototype was changed\n${show(input)}`);
  return answer;
}

const show = (input: string | Uint8Array): string =>
  (typeof input === 'string' ? JSON.stringify(input) : Buffer.from(input).toString('base64')).slice(0, 2000);
