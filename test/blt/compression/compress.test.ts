/** @file Archives: what comes out is what went in, and damage, another model or another arithmetic is noticed. */
import {
  ArchiveError,
  BOS,
  type CodingModel,
  codeStreams,
  codingMemory,
  codingModel,
  compress,
  Decoder,
  decompress,
  decompressing,
  encode,
  learnMemory,
  packModel,
  readArchive,
  type StreamRunner,
  streamLayout,
  unpackModel,
} from '@blt-ts/blt';
import { type Backend, createReferenceBackend, createWasmBackend, Random } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { windows } from '../../../packages/blt/src/compression/blocks.ts';
import { result } from '../../../packages/blt/src/training/evaluation.ts';
import { property } from '../../support/property.ts';
import { runs } from '../../support/runs.ts';
import { configs, predict, type SmallModel, seeds, smallModel } from '../../support/small-model.ts';

const wasm = createWasmBackend({ deterministic: true, batchInvariant: true, wide: false });
const threaded = createWasmBackend({
  deterministic: true,
  batchInvariant: true,
  wide: true,
  threads: 3,
  leastShared: 0,
});

const model = (small: SmallModel): Promise<CodingModel> => codingModel(small);
const [config] = fc.sample(configs, { numRuns: 1, seed: 4 });
const known = (backend: Backend = wasm, seed = 7) => model(smallModel(config, seed, backend));

/** Bytes of a block that the model predicts: after those before it, each is the likeliest. */
function liked(small: SmallModel, length: number): Uint8Array {
  const decoder = new Decoder(small);
  const made = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const [logits] = decoder.feed([[i === 0 ? BOS : made[i - 1] + 4]]);
    const ofBytes = logits.subarray(4, 260);
    made[i] = ofBytes.indexOf(ofBytes.reduce((most, logit) => Math.max(most, logit)));
  }
  decoder.release();
  return made;
}

const repeated = (block: Uint8Array, times: number): Uint8Array =>
  Uint8Array.from({ length: block.length * times }, (_, i) => block[i % block.length]);

/** Codes streams alone, the last one first. */
const lastFirst = ({ checkpoint }: CodingModel): StreamRunner =>
  async function* (work) {
    const results: Uint8Array[] = [];
    for (let s = work.inputs.length - 1; s >= 0; s--) {
      const alone = { ...work, inputs: [work.inputs[s]], sizes: [work.sizes[s]] };
      [results[s]] = yield* codeStreams(alone, checkpoint);
    }
    return results;
  };

const options = fc.record({
  blockBytes: fc.integer({ min: 1, max: 60 }),
  contextBytes: fc.integer({ min: 2, max: 40 }),
  places: fc.integer({ min: 1, max: 9 }),
});
const bytes = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' });
const text = new TextEncoder().encode('It was the best of times, it was the worst of times. '.repeat(4));
const remembered = () => codingMemory(learnMemory([text.subarray(0, 150)]));

describe('a text', () => {
  test('is read back, whatever the model, the blocks, the threads and the vectors', async () => {
    await fc.assert(
      fc.asyncProperty(configs, seeds, options, bytes(120), fc.nat(3), async (someConfig, seed, how, any, times) => {
        // Some blocks are predicted, and the others stored.
        const block = liked(smallModel(someConfig, seed, wasm), Math.min(how.blockBytes, 24));
        const content = Uint8Array.from([...repeated(block, times), ...any]);
        const archive = await compress(content, await model(smallModel(someConfig, seed, wasm)), how);
        const elsewhere = await model(smallModel(someConfig, seed, threaded));
        expect(await decompress(await readArchive(archive), elsewhere)).toEqual(content);
      }),
      { numRuns: runs(6) },
    );
  });

  test('has streams that are the same alone, as threads code them, and side by side', async () => {
    const [here, elsewhere] = [await known(), await known(threaded)];
    const how = { blockBytes: 30, places: 16 };
    const archive = await compress(text, here, how);
    const opened = await readArchive(archive);
    expect(opened.header).toMatchObject({ streams: 2, blocks: 4 });
    expect(await compress(text, here, { ...how, runner: lastFirst(elsewhere) })).toEqual(archive);
    expect(await result(decompressing(opened, here, { runner: lastFirst(elsewhere) }))).toEqual(text);
  });

  test('is read by a model whose global transformer has few positions, and that changes no other fingerprint', async () => {
    const of = (maxPositionEmbeddings: number) =>
      smallModel(
        {
          ...config,
          patching: { mode: 'byte', maxPatchLength: null },
          global: { ...config.global, maxPositionEmbeddings },
        },
        7,
        wasm,
      );
    const [few, enough, more] = await Promise.all([8, 96, 500].map((positions) => model(of(positions))));
    expect(await decompress(await readArchive(await compress(text, few)), few)).toEqual(text);
    expect(enough.arithmetic).toEqual(more.arithmetic);
    expect(few.arithmetic).not.toEqual(more.arithmetic);
  });

  test('stays as it is while it is compressed', async () => {
    const copy = text.slice();
    await compress(copy, await known());
    expect(copy).toEqual(text);
  });

  test('takes the bits of the model, and a header', async () => {
    const small = smallModel(config, 7, wasm);
    const content = liked(small, 60);
    const { logits } = predict(small, [encode(content, { bos: true, eos: false })]);
    let bits = 0;
    for (const [i, byte] of content.entries()) {
      // The last rows of ids 4 .. 259: specials are left out.
      const row = logits[0].subarray(i * 260 + 4, (i + 1) * 260);
      const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
      bits -= Math.log2(Math.exp(row[byte]) / total);
    }
    const { header, coded } = await readArchive(await compress(content, await model(small)));
    expect(header).toMatchObject({ size: 60, streams: 1, blocks: 1 });
    expect(8 * coded[0].length).toBeGreaterThanOrEqual(bits);
    expect(8 * coded[0].length).toBeLessThan(bits + 8 + 60 * 0.001);
  });

  test('is stored where the model would make it longer, block by block', async () => {
    const small = smallModel(config, 7, wasm);
    const coding = await model(small);
    const predicted = liked(small, 40);
    const unlike = predicted.map((byte, i) => byte ^ (i * 37 + 101));
    const sizeOf = async (content: Uint8Array) => {
      const archive = await readArchive(await compress(content, coding, { blockBytes: 40 }));
      expect(await decompress(archive, coding)).toEqual(content);
      return archive.coded.reduce((sum, { length }) => sum + length, 0);
    };
    expect(await sizeOf(unlike)).toBeLessThanOrEqual(40 + 2);
    const both = await sizeOf(Uint8Array.from([...unlike, ...predicted]));
    expect(both).toBeLessThanOrEqual(40 + 2 + (await sizeOf(predicted)));
  });

  test('of no bytes is an archive too', async () => {
    const archive = await compress(new Uint8Array(0), await known());
    expect(await decompress(await readArchive(archive), await known())).toEqual(new Uint8Array(0));
  });

  test('travels with its model', async () => {
    const small = smallModel(config, 7, wasm);
    const packedModel = packModel(small);
    const archive = await compress(text, await codingModel(unpackModel(packedModel, wasm)), { packedModel });
    const opened = await readArchive(archive);
    const inside = await codingModel(
      unpackModel(opened.model, createWasmBackend({ deterministic: true, batchInvariant: true })),
    );
    expect(await decompress(opened, inside)).toEqual(text);
  });
});

describe('a text with a memory beside the model', () => {
  const codedBytes = async (archive: Uint8Array) =>
    (await readArchive(archive)).coded.reduce((sum, { length }) => sum + length, 0);

  test('is read back, whatever the model, the blocks, the threads and the vectors', async () => {
    await fc.assert(
      fc.asyncProperty(configs, seeds, options, bytes(30), fc.nat(3), async (someConfig, seed, how, any, times) => {
        const content = Uint8Array.from([...repeated(text.subarray(0, 53), times), ...any]);
        const memory = await remembered();
        const archive = await readArchive(
          await compress(content, await model(smallModel(someConfig, seed, wasm)), { ...how, memory }),
        );
        const elsewhere = await model(smallModel(someConfig, seed, threaded));
        expect(await decompress(archive, elsewhere, await remembered())).toEqual(content);
        // The memory has learned nothing from all that.
        expect((await codingMemory(memory.memory)).fingerprint).toEqual(memory.fingerprint);
      }),
      { numRuns: runs(6) },
    );
  });

  test('takes a fraction of the bytes where the memory knows it, and all blocks learn from each other', async () => {
    const coding = await known();
    const alone = await codedBytes(await compress(text, coding));
    const memory = await remembered();
    expect(await codedBytes(await compress(text, coding, { memory }))).toBeLessThan(alone / 4);
    const empty = await codingMemory(learnMemory([]));
    // Four blocks of the same 53 bytes: side by side each reads what the others have just learned.
    const learned = await codedBytes(await compress(text, coding, { memory: empty, blockBytes: 53 }));
    const one = await codedBytes(await compress(text.subarray(0, 53), coding, { memory: empty, blockBytes: 53 }));
    expect(learned).toBeLessThan(3 * one);
  });

  test('that it makes no smaller is coded without', async () => {
    const random = new Random(1);
    const noise = Uint8Array.from({ length: 400 }, () => random.integer(256));
    const coding = await known();
    const archive = await compress(noise, coding, { memory: await remembered() });
    expect(archive).toEqual(await compress(noise, coding));
    expect((await readArchive(archive)).header.memory.length).toBe(0);
  });

  test('opens with that memory only', async () => {
    const coding = await known();
    const archive = await readArchive(await compress(text, coding, { memory: await remembered() }));
    await expect(decompress(archive, coding)).rejects.toThrow(/needs the memory with the fingerprint \w{16}, and none/);
    const other = await codingMemory(learnMemory([text.subarray(0, 149)]));
    await expect(decompress(archive, coding, other)).rejects.toThrow(/another memory \(fingerprint \w{16}, not/);
  });
});

describe('an archive', () => {
  test('opens with its own model only', async () => {
    const archive = await readArchive(await compress(text, await known()));
    const changed = smallModel({ ...config, patching: { mode: 'static', patchSize: 3 } }, 7, wasm);
    await expect(decompress(archive, await model(changed))).rejects.toThrow('another model');
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant(config), configs), seeds, async (other, seed) => {
        fc.pre(other !== config || seed !== 7);
        const opened = decompress(archive, await model(smallModel(other, seed, wasm)));
        await expect(opened).rejects.toThrow(/another model \(fingerprint \w{16}, not/);
      }),
      { numRuns: process.env.BLT_SLOW ? 1000 : 10 },
    );
  });

  test('opens where the same bits are computed only', async () => {
    const archive = await readArchive(await compress(text, await known()));
    const other = known(createReferenceBackend({ precision: 'f64' }));
    await expect(decompress(archive, await other)).rejects.toThrow('the model computes other bits here');
  });

  const damage = fc.oneof(
    fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), bit: fc.nat(7) }),
    fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), bit: fc.constant(0) }),
    fc.record({ kind: fc.constant('more' as const), at: fc.nat(255), bit: fc.constant(0) }),
  );
  test.each([false, true])('that is damaged gives an error, never another text (with a memory: %s)', async (mixed) => {
    const coding = await known();
    const memory = mixed ? await remembered() : undefined;
    const content = Uint8Array.from([...liked(smallModel(config, 7, wasm), 20), ...text.subarray(0, 20)]);
    const archive = await compress(content, coding, { blockBytes: 20, memory });
    await fc.assert(
      fc.asyncProperty(damage, async ({ kind, at, bit }) => {
        const damaged = [...archive];
        if (kind === 'flip') damaged[at % archive.length] ^= 1 << bit;
        if (kind === 'cut') damaged.length = at % archive.length;
        if (kind === 'more') damaged.push(at);
        const opened = readArchive(Uint8Array.from(damaged)).then((taken) => decompress(taken, coding, memory));
        await expect(opened).rejects.toThrow(ArchiveError);
      }),
      { numRuns: process.env.BLT_SLOW ? 10_000 : 60 },
    );
  });

  test('must not name what no archive has', async () => {
    const cases = ['', 'BLT', 'BLTZ', 'BLTZ\u0001', 'BLTZ\u0004......', 'gzip?', 'BLTZ\u0001'.padEnd(80, 'x')];
    for (const made of cases) await expect(readArchive(new TextEncoder().encode(made))).rejects.toThrow(ArchiveError);
    const older = readArchive(new TextEncoder().encode('BLTZ\u0002 and the rest'));
    await expect(older).rejects.toThrow(
      'the archive has version 2, this program reads 4 and 5; take the one that wrote it',
    );
  });
});

test('options out of range are refused by name', async () => {
  const coding = await known();
  await expect(compress(text, coding, { blockBytes: 0 })).rejects.toThrow('blockBytes must be a whole number from 1');
  await expect(compress(text, coding, { contextBytes: 65 })).rejects.toThrow('contextBytes must be a whole number');
  await expect(compress(text, coding, { places: 1.5 })).rejects.toThrow('places must be a whole number from 1 to 1024');
});

property(
  'windows cover a block once, with contexts that fit',
  fc.tuple(fc.nat(500), fc.integer({ min: 2, max: 90 })),
  100,
  ([length, contextBytes]) => {
    let at = 0;
    for (const { first, from, to } of windows(length, contextBytes)) {
      expect(from).toBe(at);
      expect(to).toBeGreaterThan(from);
      expect(to - first).toBeLessThanOrEqual(contextBytes);
      expect(from - first).toBe(Math.min(from, Math.ceil(contextBytes / 8)));
      at = to;
    }
    expect(at).toBe(length);
  },
);

property(
  'streams are as many for every thread, and none has a longer block than was asked for',
  fc.tuple(fc.integer({ min: 1, max: 3_000_000 }), fc.integer({ min: 1, max: 40_000 })),
  100,
  ([size, blockBytes]) => {
    const { streams, blocks } = streamLayout(size, blockBytes);
    expect(streams * blocks).toBeLessThanOrEqual(size);
    expect(Math.floor(size / (streams * blocks))).toBeLessThanOrEqual(blockBytes);
    // Two threads have the same work, but for texts of one block and blocks longer than half of a pair.
    if (blockBytes <= 32_768)
      expect(streams % 2 === 0 || size <= blockBytes || streams * blockBytes >= size).toBe(true);
  },
);
