import { readdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import * as nodeFs from 'node:fs/promises';
import { join } from 'node:path';
import { type Corpus, encode, type PatchingOptions, patchLengths, planRun, scoreEntropies } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseShardNumber } from '../../../packages/cli/src/commands/prepare.ts';
import type { FileConfig } from '../../../packages/cli/src/config/config-schema.ts';
import { corpusIds, loadCorpus } from '../../../packages/cli/src/data/corpus.ts';
import { dataHash } from '../../../packages/cli/src/data/split.ts';
import { removeStale, writeFileAtomically } from '../../../packages/cli/src/files/atomic-file.ts';
import { makeShard } from '../../../packages/cli/src/prepared/make-shard.ts';
import { readPrepared } from '../../../packages/cli/src/prepared/prepared-set.ts';
import {
  type Identity,
  parseShard,
  type Shard,
  shardBytes,
  shardName,
} from '../../../packages/cli/src/prepared/shard-file.ts';
import { shardRange, spansOf, tokensOf } from '../../../packages/cli/src/prepared/spans.ts';
import type { RunRecord } from '../../../packages/cli/src/run/record.ts';
import { openWarmStart, reopenWarmStart } from '../../../packages/cli/src/training/warm-start.ts';
import { blt, type Outcome } from '../../support/command.ts';
import { runs } from '../../support/runs.ts';
import { configs, patchings, seeds, smallModel } from '../../support/small-model.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const backend = createWasmBackend({ deterministic: true });
const HASH = 'ab'.repeat(32);

const text = fc.string({ unit: fc.constantFrom(...'abc de\nfG,.'), minLength: 1, maxLength: 120, size: 'max' });
const corpora: fc.Arbitrary<Corpus> = fc
  .record({ train: fc.array(text, { minLength: 1, maxLength: 4 }), heldOut: fc.array(text, { maxLength: 2 }) })
  .map(({ train, heldOut }) => {
    const ids = (texts: string[]) => texts.map((t) => encode(t, { bos: true, eos: true }));
    return { train: ids(train), heldOut: ids(heldOut) };
  });
const tokensIn = (corpus: Corpus) => corpus.train.concat(corpus.heldOut).reduce((n, ids) => n + ids.length, 0);

const identityOf = (
  corpus: Corpus,
  patching: PatchingOptions,
  sizes: { context: number; batch: number },
): Identity => ({
  corpus: HASH,
  tokens: tokensIn(corpus),
  ...sizes,
  entropyModel: patching.mode === 'entropy' ? { sha256: HASH, window: 5 } : null,
  patching,
  kernels: 'wasm',
});

async function shardsOf(corpus: Corpus, identity: Identity, of: number, seed = 1): Promise<Shard[]> {
  const [config] = fc.sample(configs, { numRuns: 1, seed: 3 });
  const own = { ...config.patcher!, maxPositionEmbeddings: identity.context };
  const { patcher } = smallModel({ ...config, patcher: own }, seed, backend);
  const model = identity.entropyModel ? { params: patcher, config: own, window: 5, backend } : null;
  const frame = { identity, entropyModelSource: 'model', of };
  const shards: Shard[] = [];
  for (let index = 1; index <= of; index++) shards.push(await makeShard(corpus, { ...frame, index }, model));
  return shards;
}

function folderOf(shards: readonly Shard[]): string {
  return temporaryFolder(Object.fromEntries(shards.map((s) => [shardName(s.index, s.of), shardBytes(s)])));
}

// ----- spans ------------------------------------------------------------------------------------------------------------

const sizes = fc.record({ context: fc.integer({ min: 1, max: 64 }), batch: fc.integer({ min: 1, max: 100 }) });

test('spans cover every token once, in order; a span is one piece or fits the batch; shards share them out', () => {
  fc.assert(
    fc.property(corpora, sizes, fc.integer({ min: 1, max: 9 }), (corpus, sizes, n) => {
      const spans = spansOf(corpus, sizes);
      let at = { part: 'train', document: 0, to: 0 };
      for (const piece of spans.flat()) {
        const next =
          at.to < corpus[at.part as keyof Corpus][at.document].length
            ? { part: at.part, document: at.document, from: at.to }
            : at.document + 1 < corpus[at.part as keyof Corpus].length
              ? { part: at.part, document: at.document + 1, from: 0 }
              : { part: 'heldOut', document: 0, from: 0 };
        expect(piece).toMatchObject(next);
        expect(piece.to - piece.from).toBeLessThanOrEqual(sizes.context);
        at = piece;
      }
      expect(tokensOf(spans)).toBe(tokensIn(corpus));
      for (const span of spans) {
        expect(span.length === 1 || tokensOf([span]) <= sizes.batch).toBe(true);
        expect(new Set(span.map(({ part }) => part)).size).toBe(1);
      }
      const ranges = Array.from({ length: n }, (_, i) => shardRange(spans.length, i + 1, n));
      expect(ranges[0][0]).toBe(0);
      expect(ranges.at(-1)![1]).toBe(spans.length);
      for (let i = 1; i < n; i++) expect(ranges[i][0]).toBe(ranges[i - 1][1]);
    }),
    { numRuns: runs(100) },
  );
});

// ----- shards -----------------------------------------------------------------------------------------------------------

test('the union of n shards has the same bits for every n, and they are those of the whole corpus scored at once', async () => {
  await fc.assert(
    fc.asyncProperty(corpora, sizes, patchings, seeds, async (corpus, sizes, patching, seed) => {
      const identity = identityOf(corpus, patching, sizes);
      const one = await readPrepared(folderOf(await shardsOf(corpus, identity, 1, seed)), corpus, HASH);
      for (const n of [3, 7]) {
        expect(await readPrepared(folderOf(await shardsOf(corpus, identity, n, seed)), corpus, HASH)).toEqual(one);
      }
      expect(one.identity).toEqual(identity);
      const [config] = fc.sample(configs, { numRuns: 1, seed: 3 });
      const own = { ...config.patcher!, maxPositionEmbeddings: sizes.context };
      const { patcher } = smallModel({ ...config, patcher: own }, seed, backend);
      for (const part of ['train', 'heldOut'] as const) {
        const options = { window: 5, documents: true, backend, batchBytes: sizes.batch };
        const H = patching.mode === 'entropy' ? scoreEntropies(patcher, corpus[part], own, options) : null;
        expect(one.entropies?.[part] ?? null).toEqual(H);
        corpus[part].forEach((ids, i) => {
          const whole = patchLengths(ids, H?.[i] ?? null, patching, { includeNextToken: false });
          expect(one.patches[part][i]).toEqual(whole);
        });
      }
    }),
    { numRuns: runs(25) },
  );
});

const corpus: Corpus = {
  train: ['the whale, the whale', 'call me Ishmael; some years ago', 'x'].map((t) =>
    encode(t, { bos: true, eos: true }),
  ),
  heldOut: [encode('never mind how long', { bos: true, eos: true })],
};
const entropy: PatchingOptions = { mode: 'entropy', threshold: 5.4, monotonic: false, thresholdAdd: null };
const identity = identityOf(corpus, entropy, { context: 9, batch: 20 });

test('a shard goes through its file unchanged, and its bytes are always the same', async () => {
  for (const shard of await shardsOf(corpus, identity, 3)) {
    expect(parseShard(shardBytes(shard), 'shard')).toEqual(shard);
    expect(Buffer.compare(shardBytes(shard), shardBytes({ ...shard }))).toBe(0);
  }
});

test('every single byte of a shard that changes is noticed', async () => {
  const [shard] = await shardsOf(corpus, identity, 3);
  const bytes = shardBytes(shard);
  const accepted: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const broken = bytes.slice();
    broken[at] ^= 1;
    try {
      const { entropyModelSource: _, ...found } = parseShard(broken, 'shard');
      const { entropyModelSource: __, ...wanted } = shard;
      // What stands in the header alone is compared with the corpus and the other shards by readPrepared.
      if (JSON.stringify(found) === JSON.stringify(wanted)) continue;
      expect(found.entropies).toEqual(wanted.entropies);
      expect(found.patchLengths).toEqual(wanted.patchLengths);
      accepted.push(at);
    } catch (error) {
      expect((error as Error).name).toBe('UserError');
      expect((error as Error).message.length).toBeLessThan(1000);
    }
  }
  expect(accepted.length).toBeLessThan(bytes.length / 4);
});

describe('sets that cannot be used', () => {
  const refused = async (shards: readonly Shard[], message: string, change?: (folder: string) => void) => {
    const folder = folderOf(shards);
    change?.(folder);
    await expect(readPrepared(folder, corpus, HASH)).rejects.toThrow(message);
  };
  test('a missing shard is named, with the command that makes it', async () => {
    const [a, , c] = await shardsOf(corpus, identity, 3);
    await refused([a, c], 'lacks shard 2 of 3; make what is missing: blt prepare ... --shard 2/3');
  });
  test('shards of two divisions, none, or no folder', async () => {
    await refused(
      [...(await shardsOf(corpus, identity, 1)), ...(await shardsOf(corpus, identity, 2))],
      'holds shards of 1 and of 2',
    );
    await refused([], 'holds no shards');
    await expect(readPrepared('/nowhere/at/all', corpus, HASH)).rejects.toThrow('there is no such folder');
  });
  test('other data, another entropy model, another corpus behind the same hash', async () => {
    const other = { ...identity, corpus: 'cd'.repeat(32) };
    await refused(await shardsOf(corpus, other, 2), 'was made from other data (SHA-256 cdcdcdcdcdcd');
    const [a, b] = await shardsOf(corpus, identity, 2);
    const strange = { ...identity, entropyModel: { sha256: 'ee'.repeat(32), window: 5 } };
    await refused([a, { ...b, identity: strange }], 'was made with another entropy model or other patches');
    const shorter = { ...corpus, heldOut: [corpus.heldOut[0].slice(0, -3)] };
    await expect(readPrepared(folderOf([a, b]), shorter, HASH)).rejects.toThrow('of this corpus has');
  });
  test('values that cannot be: patches that cross documents, strange entropies, lengths that do not add up', async () => {
    const [only] = await shardsOf(corpus, identity, 1);
    await refused([{ ...only, patchLengths: Int32Array.of(only.tokens) }], 'a patch crosses the end of document 0');
    await refused([{ ...only, open: true }], 'does not end');
    await refused([{ ...only, entropies: only.entropies!.map((h, i) => (i === 4 ? 9 : h)) }], 'it holds the entropy 9');
    await refused([{ ...only, patchLengths: only.patchLengths.subarray(1) }], `of ${only.tokens} tokens`);
    await refused([{ ...only, patchLengths: Int32Array.of(-1, only.tokens + 1) }], 'a patch of length -1');
    await refused([{ ...only, entropies: only.entropies!.subarray(1) }], 'entropies for');
  });
  test('files that are no shards: cut short, too large, of another name', async () => {
    const shards = await shardsOf(corpus, identity, 2);
    const first = (folder: string) => join(folder, shardName(1, 2));
    await refused(shards, 'cannot be used', (folder) => truncateSync(first(folder), 300));
    await refused(shards, 'more than a shard of', (folder) => truncateSync(first(folder), 10_000_000));
    await refused(shards, 'as shard 2/2', (folder) => writeFileSync(first(folder), shardBytes(shards[1])));
  });
});

test.each(['0/3', '4/3', '3', '1/0', '1.5/2', '-1/2', 'a/b', '1/100000', '1/2/3', ''])(
  '--shard %j is refused',
  (given) => {
    expect(() => parseShardNumber(given)).toThrow(
      `--shard is i/n with 1 <= i <= n <= 99999, for example 3/7; got ${JSON.stringify(given)}`,
    );
  },
);

test('a file is written whole or not at all, whichever file-system call fails', async () => {
  for (let fatal = 1; ; fatal++) {
    const folder = temporaryFolder({ file: 'old' });
    let calls = 0;
    const failing = <F extends (...args: never[]) => unknown>(f: F): F =>
      ((...args: never[]) => {
        if (++calls === fatal) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
        return f(...args);
      }) as F;
    const open = async (...args: Parameters<typeof nodeFs.open>) => {
      const handle = await nodeFs.open(...args);
      return new Proxy(handle, {
        get: (target, key: 'writeFile') => {
          const own = target[key];
          if (typeof own !== 'function') return own;
          const bound = own.bind(target) as (...a: never[]) => unknown;
          // A file that cannot be closed would stay open: closing is done, then fails.
          return key === ('close' as string) ? bound : failing(bound);
        },
      });
    };
    const fs = { open: failing(open), rename: failing(nodeFs.rename), rm: nodeFs.rm } as typeof nodeFs;
    const path = join(folder, 'file');
    const error = await writeFileAtomically(path, Buffer.from('new'), fs).catch((e: Error) => e);
    expect(['old', 'new']).toContain(readFileSync(path, 'utf8'));
    expect(readdirSync(folder)).toEqual(['file']);
    if (!error) break;
    expect(error.message).toBe(`cannot write ${path}: no space left on the device`);
    expect(fatal).toBeLessThan(20);
  }
});

test('what a dead writer left is removed after a while, that of a living one is not', async () => {
  const folder = temporaryFolder({ '.file.00ff.tmp': 'half', '.other.00ff.tmp': 'half', file: 'whole' });
  const path = join(folder, 'file');
  await removeStale(path);
  expect(readdirSync(folder).sort()).toEqual(['.file.00ff.tmp', '.other.00ff.tmp', 'file']);
  await removeStale(path, Date.now() + 3_600_000);
  expect(readdirSync(folder).sort()).toEqual(['.other.00ff.tmp', 'file']);
});

// ----- the command --------------------------------------------------------------------------------------------------------

const TINY = [
  ...[
    '--local-width',
    '16',
    '--local-heads',
    '2',
    '--decoder-layers',
    '1',
    '--global-width',
    '16',
    '--global-heads',
    '2',
  ],
  ...['--global-layers', '1', '--hash-vocab', '64', '--row-bytes', '64', '--batch-size', '2', '--steps', '4'],
];
const PATCHER = ['--entropy-width', '8', '--entropy-heads', '2', '--entropy-layers', '1', '--entropy-steps', '3'];
const BOOK = Array.from({ length: 60 }, (_, i) => `line ${i}: the whale ${'is white and '.repeat(i % 5)}large.\n`).join(
  '',
);

test('blt prepare and blt train --prepared: the run is the one that computes everything itself', () => {
  const folder = temporaryFolder({ 'book.txt': BOOK, 'more.txt': BOOK.slice(50, 500).toUpperCase() });
  const data = ['--data', 'book.txt', '--data', 'more.txt'];
  const run = (...args: string[]): Outcome => {
    const outcome = blt(folder, args);
    expect(outcome.stderr).toBe('');
    expect(outcome.code).toBe(0);
    return outcome;
  };
  run('train', ...data, ...TINY, ...PATCHER, '--run', 'first');
  const prepare = (...args: string[]) => run('prepare', ...data, '--patcher', 'runs/first', ...args);
  for (const i of [1, 2, 3]) expect(prepare('--shard', `${i}/3`, '--out', 'three').stdout).toContain(`shard ${i}/3`);
  prepare('--out', 'one');
  const shard = (i: number) => join(folder, 'three', shardName(i, 3));

  // What is done is not done again; what is damaged is.
  const before = statSync(shard(2)).mtimeMs;
  expect(prepare('--shard', '2/3', '--out', 'three').stdout).toContain('is there already');
  expect(statSync(shard(2)).mtimeMs).toBe(before);
  const whole = readFileSync(shard(2));
  truncateSync(shard(2), 1000);
  expect(prepare('--shard', '2/3', '--out', 'three').stdout).toContain('it is made anew');
  expect(Buffer.compare(readFileSync(shard(2)), whole)).toBe(0);
  const other = blt(folder, ['prepare', ...data, '--patcher', 'runs/first', '--threshold', '2', '--out', 'one']);
  expect(other.code).toBe(2);
  expect(other.stderr).toContain('was made from other data, another entropy model or other patches');

  // Multiply and add rounded separately, as blt prepare does.
  process.env.BLT_NO_FMA = '1';
  try {
    const train = (name: string, ...args: string[]) => {
      const { stdout } = run('train', ...data, ...TINY, '--run', name, ...args);
      return { stdout, weights: readFileSync(join(folder, `runs/${name}/step-000004/model.safetensors`)) };
    };
    const own = JSON.parse(readFileSync(join(folder, 'runs/first/step-000004/config.json'), 'utf8'));
    for (const [set, given, computed] of [
      ['three', [], ['--threshold', String(own.patching_threshold)]],
      ['one', ['--patch-size', '3'], ['--patch-size', '3']],
    ] as const) {
      const plain = train(`${set}-computed`, '--entropy-model', 'runs/first', ...computed);
      const prepared = train(`${set}-prepared`, '--prepared', set, ...given);
      expect(prepared.stdout).toContain('entropy model  that of runs/first, as it is');
      expect(Buffer.compare(prepared.weights, plain.weights)).toBe(0);
    }
  } finally {
    delete process.env.BLT_NO_FMA;
  }
});

test('prepared data, entropy model and run must fit together', async () => {
  const folder = temporaryFolder({ 'book.txt': BOOK });
  const entropyWeights = (seed: string) => {
    const args = ['train', '--data', 'book.txt', ...TINY, ...PATCHER, '--seed', seed, '--run', `of-${seed}`];
    expect(blt(folder, args).code).toBe(0);
    return join(folder, 'runs', `of-${seed}`);
  };
  const [first, second] = [entropyWeights('1'), entropyWeights('2')];
  const book = join(folder, 'book.txt');
  const prepared = join(folder, 'p');
  expect(blt(folder, ['prepare', '--data', book, '--patcher', first, '--out', prepared]).code).toBe(0);
  const source = { data: [book], heldOut: null, heldOutFraction: 0.1, split: 'auto' as const, textField: null };
  const open = async (config: FileConfig, fraction = 0.1) => {
    const split = await loadCorpus({ ...source, heldOutFraction: fraction }, () => {});
    const hash = dataHash([...split.train, ...split.heldOut]);
    return openWarmStart(
      { ...config, data: { prepared, ...config.data } },
      () => corpusIds(split),
      hash,
      () => {},
    );
  };
  const { options } = await open({});
  // A run that is stopped before it has its patches finds everything again, or says what has changed.
  const split = await loadCorpus(source, () => {});
  const corpus = corpusIds(split);
  const plan = planRun(options, BOOK.length);
  const record = { plan, prepared, dataHash: dataHash([...split.train, ...split.heldOut]) } as RunRecord;
  const again = await reopenWarmStart(record, () => corpus);
  expect(again.patches?.train.length).toBe(corpus.train.length);
  expect(again.entropies?.heldOut[0].length).toBe(corpus.heldOut[0].length);
  const moved = { ...plan, entropyOrigin: { source: second, sha256: plan.entropyOrigin!.sha256 } };
  await expect(reopenWarmStart({ ...record, plan: moved }, () => corpus)).rejects.toThrow(
    `the entropy model in ${second} is not the one of before`,
  );
  await expect(reopenWarmStart({ ...record, dataHash: 'ff' }, () => corpus)).rejects.toThrow(
    'was made from other data',
  );
  expect(options.entropyModel).toMatchObject({ source: first });
  expect(options.window).toBe(512);
  await expect(open({}, 0.2)).rejects.toThrow('was made from other data');
  await expect(open({ patcher: { patching_mode: 'space' } })).rejects.toThrow(
    'prepared for patches by entropy, not by space',
  );
  await expect(open({ model: { window: 64 } })).rejects.toThrow('--window 64 does not fit it');
  await expect(open({ entropy_model: { width: 16 } })).rejects.toThrow('leave out --entropy-width');
  await expect(open({ entropy_model: { model: second } })).rejects.toThrow(
    `was prepared with another entropy model than ${second}`,
  );
  await expect(open({ train: { init_global_lr_scale: 0.5 } })).rejects.toThrow('give --init-global DIR too');
  renameSync(first, `${first}-moved`);
  await expect(open({})).rejects.toThrow('say where it is: --entropy-model DIR');
  expect((await open({ entropy_model: { model: `${first}-moved` } })).options.entropyModel).toBeDefined();
});

test('prepare and train divide a corpus the same way, and say what must be the same if not', () => {
  const rows = Array.from(
    { length: 300 },
    (_, i) => `${JSON.stringify({ text: `row ${i % 280}: ${'whale '.repeat(3 + (i % 4))}` })}\n`,
  );
  const folder = temporaryFolder({ 'rows.jsonl': rows.join('') });
  const split = ['--split', 'documents', '--seed', '7', '--dedupe'];
  const prepare = ['prepare', '--data', 'rows.jsonl', '--mode', 'space', '--out', 'p'];
  expect(blt(folder, [...prepare, ...split])).toMatchObject({ code: 0, stderr: '' });
  const train = (...args: string[]) =>
    blt(folder, ['train', '--data', 'rows.jsonl', ...TINY, '--prepared', 'p', '--dry-run', ...args]);
  const { stdout, code } = train(...split);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^held out +[\d,]+ bytes, \d+ of 300 documents$/m);
  expect(stdout).toMatch(/^left out +\d+ training documents left out as copies \(rows\.jsonl:\d+, .*, \.\.\.\)$/m);
  expect(stdout).toMatch(/^warning: only \d+ bytes are held out: .*standard error of about 0\.\d\d/m);
  for (const other of [[], ['--seed', '8'], ['--split', 'tails']]) {
    const { stderr } = train(...split.filter((flag) => other.length > 0 || flag !== '--dedupe'), ...other);
    expect(stderr).toContain(
      'give prepare and train the same --data, --held-out, --held-out-fraction, --split, --dedupe, --seed and --text-field',
    );
  }
  expect(blt(folder, [...prepare, '--split', 'tails', '--held-out', 'rows.jsonl'])).toMatchObject({
    code: 2,
    stderr: 'blt: --held-out names the held-out text, so there is nothing to --split; give one of the two\n',
  });
  expect(blt(folder, [...prepare, '--held-out-fraction', '0.5', '--held-out', 'rows.jsonl'])).toMatchObject({
    code: 2,
    stderr: 'blt: --held-out names the held-out text, so --held-out-fraction has no meaning; give one of the two\n',
  });
  expect(train('--split', 'tails', '--held-out', 'rows.jsonl').stderr).toContain('give held_out or split, not both');
});

test('patches by rule need no model; and what does not fit together is refused', () => {
  const folder = temporaryFolder({ 'book.txt': BOOK });
  const out = ['--data', 'book.txt', '--out', 'p'];
  const { code, stdout } = blt(folder, ['prepare', '--mode', 'space', ...out, '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({
    event: 'done',
    shard: 1,
    of: 1,
    skipped: false,
  });
  const trained = blt(folder, ['train', '--data', 'book.txt', ...TINY, '--prepared', 'p', '--dry-run']);
  expect(trained.stdout).toContain('by space');
  const refused = (message: string, ...args: string[]) => {
    const { code, stderr } = blt(folder, ['prepare', ...out, ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  };
  refused('how to cut? give --patcher MODEL');
  refused('--mode entropy needs an entropy model', '--mode', 'entropy');
  refused('needs no entropy model; leave out --patcher', '--mode', 'space', '--patcher', 'x');
  refused('--shard is i/n', '--mode', 'space', '--shard', '3/2');
  refused('there is no such folder', '--patcher', 'nowhere');
});
