import { expect, test } from 'vitest';
import { concatenated } from '../../../packages/cli/src/data/document.ts';
import { loadDocuments } from '../../../packages/cli/src/data/sources.ts';
import { splitHeldOut } from '../../../packages/cli/src/data/split.ts';
import { compressorFigures } from '../../../packages/cli/src/report/compressors.ts';

test('on the last tenth of Moby Dick gzip -9 takes 3.1 bits per byte and brotli less, best first', async () => {
  const { train, heldOut } = splitHeldOut(await loadDocuments([]));
  const found = await compressorFigures(concatenated(train), concatenated(heldOut), { brotliQuality: 9 });
  expect(found.map(({ name }) => name)).toEqual(['brotli -9', 'gzip -9', 'gzip -9 alone']);
  // GNU gzip gives 3.132; the zlib inside Node differs a little by version and processor.
  expect(found[1].bitsPerByte).toBeGreaterThan(3.1);
  expect(found[1].bitsPerByte).toBeLessThan(3.15);
  expect(found[2].bitsPerByte).toBeGreaterThan(found[1].bitsPerByte);
  expect(found[0].bitsPerByte).toBeLessThan(2.7);
});

test('what has been read before costs next to nothing, noise costs eight bits', async () => {
  // A full-period congruential generator: bytes that no compressor can predict.
  let state = 1;
  const noise = Uint8Array.from(
    { length: 20_000 },
    () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24,
  );
  const found = await compressorFigures(noise, noise, { brotliQuality: 5 });
  for (const { seenTraining, bitsPerByte } of found) {
    if (seenTraining) expect(bitsPerByte).toBeLessThan(0.2);
    else expect(bitsPerByte).toBeGreaterThan(7.99);
  }
});

test('no held-out bytes give no figures, no training bytes are no obstacle', async () => {
  expect(await compressorFigures(new Uint8Array(5), new Uint8Array(0))).toEqual([]);
  const found = await compressorFigures(new Uint8Array(0), new TextEncoder().encode('hello'), { brotliQuality: 1 });
  for (const { bitsPerByte } of found) expect(Number.isFinite(bitsPerByte)).toBe(true);
});

test('a brotli quality outside 0..11 is refused', async () => {
  await expect(compressorFigures(new Uint8Array(1), new Uint8Array(1), { brotliQuality: 12 })).rejects.toThrow(
    /is 12.*0 to 11/,
  );
});
