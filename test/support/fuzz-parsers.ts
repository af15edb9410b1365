/**
 * @file Fuzzing of everything that reads what others wrote. An input is broken from a corpus that starts with valid files and
 * takes in every input that was answered in a new way, or (guided by coverage) that made a block of code run for the first time or
 * more often, so that later ones go deeper. The law: a parser answers, or throws one of the library's own errors with a short message;
 * and no prototype is touched.
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
import { parquetWriteBuffer } from 'hyparquet-writer';
import { parseConfig } from '../../packages/cli/src/config/config-file.ts';
import { gunzipBytes } from '../../packages/cli/src/data/gunzip.ts';
import { parseJsonl } from '../../packages/cli/src/data/jsonl.ts';
import { bufferOf, parquetTexts } from '../../packages/cli/src/data/parquet.ts';
import { unzstdBytes } from '../../packages/cli/src/data/zstd.ts';
import { storedInFolder } from '../../packages/cli/src/files/weight-files.ts';
import { parseShard, shardBytes } from '../../packages/cli/src/prepared/shard-file.ts';
import { DEFAULT_HOUSEKEEPING } from '../../packages/cli/src/run/housekeeping.ts';
import { recordsOf } from '../../packages/cli/src/run/metrics-records.ts';
import { parseRecord, recordText } from '../../packages/cli/src/run/record.ts';
import { STATE_ARRAYS, STATE_JSON } from '../../packages/cli/src/run/state-files.ts';
import { readOrRefuse, runMutation } from '../tensor/safetensors/fuzz.ts';
import { MUTATIONS } from '../tensor/safetensors/mutations.ts';
import { randomSample } from '../tensor/safetensors/samples.ts';
import { breakBytes, breakFramed, breakJson, breakText, spliced } from './fuzz-inputs.ts';
import { stateFiles, stateOf } from './state-files.ts';
import { corpus, tinyPlan } from './tiny-run.ts';

const OWN_ERRORS = new Set(['UserError', 'ConfigError', 'SafetensorsError']);
const LONGEST_MESSAGE = 4000;
/** Broken by check, one mutation after another, not from a corpus. */
const SAFETENSORS = 'safetensors';

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

/** `zstd -1 --no-check` of two lines: without a checksum a broken one may be read. */
const ZSTD = Buffer.from('KLUv/SAmMQEAVGhlIHdoYWxlLCB0aGUgd2hhbGUhClRoYXIgc2hlIGJsb3dzLgo=', 'base64');

/** Everything that reads files, with valid files to start from. */
export async function fuzzTargets(): Promise<Target[]> {
  const columnData = [{ name: 'text', data: ['eins', 'zwei', null, 'drei'], type: 'STRING' as const }];
  const parquet = new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 2 }));
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
    care: DEFAULT_HOUSEKEEPING,
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
  const shard = shardBytes({
    identity: {
      corpus: 'ab'.repeat(32),
      tokens: 9,
      context: 8,
      batch: 8,
      entropyModel: { sha256: 'cd'.repeat(32), window: 512 },
      patching: { mode: 'entropy', threshold: 1.3 },
      kernels: 'wasm',
    },
    entropyModelSource: 'runs/nano-1',
    index: 1,
    of: 2,
    tokens: 5,
    entropies: Float32Array.of(0, 1, 2, 3, 4),
    patchLengths: Int32Array.of(1, 4),
    open: true,
  });
  const huggingFace = JSON.stringify(configToHuggingFace(checkpoint.config));
  return [
    textTarget('run config.json', [record], (text) => parseRecord(text, 'config.json')),
    textTarget('training_state.json', [stateJson], (text) => stateOf(text, smallArrays)),
    bytesTarget('training_state.safetensors', [smallArrays, stateArrays.slice(0, 2048)], (bytes) =>
      stateOf(stateJson, bytes),
    ),
    textTarget('a restored state', [stateJson], (text) => restore(session.plan, stateOf(text, stateArrays)), 0.1),
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
    bytesTarget('a shard of prepared data', [shard], (bytes) => parseShard(bytes, 'shard')),
    textTarget('config.toml', [TOML], (text) => parseConfig(text, 'x.toml')),
    textTarget('config in JSON', ['{"size":"nano","train":{"steps":5},"model":{"hash_sizes":[3]}}'], (text) =>
      parseConfig(text, 'x.json'),
    ),
    textTarget(
      'metrics.jsonl',
      ['{"step":1,"bytes":10,"lossNats":2.5}\n{"step":2,"bytes":20,"heldOutBitsPerByte":2}\n'],
      (text) => [...recordsOf([Buffer.from(text)], 'metrics.jsonl')],
    ),
    bytesTarget('JSON Lines', [utf8('{"text":"a"}\n"b"\n\n{"content":"\\ud83d\\ude00"}\n')], (bytes) =>
      parseJsonl(bytes, 'x.jsonl'),
    ),
    bytesTarget('zstd', [ZSTD], (bytes) => unzstdBytes(bytes, 'x.zst', 1e6)),
    bytesTarget('Parquet', [parquet], async (bytes) => {
      for await (const { texts } of parquetTexts(bufferOf(bytes), 'x.parquet', { limit: 1e6 })) void texts;
    }),
    bytesTarget('gzip', [gzipSync('hello hello hello'), gzipSync(new Uint8Array(2000))], (bytes) =>
      gunzipBytes(bytes, 'x.gz', 100_000),
    ),
    {
      name: 'safetensors, any bytes',
      weight: 2,
      seeds: Array.from({ length: 8 }, (_, i) => randomSample(new Random(i)).bytes),
      change: (bytes: Uint8Array, random) => (random.integer(3) === 0 ? breakBytes : breakFramed)(bytes, random),
      parse: (bytes: Uint8Array) => {
        const answer = readOrRefuse(bytes);
        if (answer instanceof Error) throw answer;
      },
    },
    {
      name: SAFETENSORS,
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
function restore(plan: Session['plan'], state: ReturnType<typeof stateOf>): void {
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
  /** Inputs kept to be broken further. */
  kept: number;
}

/** Tells whether the last input reached code that none before did. */
export interface Guide {
  fresh(): boolean;
}

/**
 * @returns per target how many inputs were tried and refused
 * @throws Error naming target and seed, with the input, if a law is broken
 */
export async function fuzzParsers(options: {
  inputs: number;
  seed: number;
  progress?: (done: number) => void;
  /** Without one, an answer in new words is what counts. */
  guide?: Guide;
}): Promise<Map<string, FuzzCount>> {
  const { guide } = options;
  const targets = await fuzzTargets();
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  const counts = new Map<string, FuzzCount>();
  let done = 0;
  for (const [t, target] of targets.entries()) {
    const count: FuzzCount = { inputs: 0, refused: 0, answers: 0, kept: 0 };
    counts.set(target.name, count);
    const share =
      t === targets.length - 1 ? options.inputs - done : Math.round((options.inputs * target.weight) / total);
    const known = new Set<string>();
    const pool: (string | Uint8Array)[] = [];
    for (let i = 0; i < share; i++) {
      const seed = options.seed + i;
      const random = new Random(seed);
      if (target.name === SAFETENSORS) {
        const mutation = MUTATIONS[i % MUTATIONS.length];
        try {
          if (runMutation(mutation, random) === 'refused') count.refused++;
        } catch (cause) {
          throw new Error(`fuzzing safetensors, "${mutation.name}", seed ${seed}: ${(cause as Error).message}`, {
            cause,
          });
        }
      } else {
        const { seeds } = target;
        const input = i < seeds.length ? seeds[i] : next(target, pool, random, guide ? 8 : 2);
        const answer = await ask(target, input, seed);
        if (i === 0 && answer !== 'read')
          throw new Error(`fuzzing ${target.name}: the valid file is refused: ${answer}`);
        if (answer !== 'read') count.refused++;
        const unheard = !known.has(answer);
        known.add(answer);
        if ((guide ? guide.fresh() : unheard) && input.length < 20_000) {
          // Full: the place of any of the elder half.
          if (pool.length < LARGEST_POOL) pool.push(input);
          else pool[random.integer(LARGEST_POOL / 2)] = input;
        }
      }
      count.inputs++;
      if (++done % 10_000 === 0) options.progress?.(done);
    }
    count.answers = known.size;
    count.kept = pool.length;
  }
  return counts;
}

const LARGEST_POOL = 2000;

/** A valid file broken, once in `fresh` times; else an input broken further that was found worth keeping, or two of them joined. */
function next(target: Target, pool: readonly (string | Uint8Array)[], random: Random, fresh: number) {
  const { seeds } = target;
  const from = pool.length === 0 || random.integer(fresh) === 0 ? seeds : pool;
  // The younger of two: it has been tried less.
  const place = Math.max(random.integer(from.length), random.integer(from.length));
  const chosen = from[place];
  const input = random.integer(8) === 0 ? spliced(chosen, from[random.integer(from.length)], random) : chosen;
  return target.change(input as never, random);
}

/** The parser's answer: 'read', or its complaint without the numbers and names of this one input. */
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
