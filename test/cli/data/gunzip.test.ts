/** @file Gzip data read piece by piece are those read at once, wherever members, padding and pieces end. */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gunzip, gunzipBytes } from '../../../packages/cli/src/data/gunzip.ts';
import { runs } from '../../support/runs.ts';

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** The text that comes out, or why nothing does. */
async function inPieces(bytes: Uint8Array, size: number, limit = 2 ** 30): Promise<string> {
  const parts: Uint8Array[] = [];
  try {
    for await (const part of gunzip(pieces(bytes, size), 'data.gz', limit)) parts.push(part);
  } catch (error) {
    return (error as Error).message;
  }
  return Buffer.concat(parts).toString('latin1');
}

const atOnce = (bytes: Uint8Array): Promise<string> =>
  gunzipBytes(bytes, 'data.gz').then(
    (plain) => Buffer.from(plain).toString('latin1'),
    (error: Error) => error.message,
  );

const member = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(200_000).fill(7)));
const padded = fc.array(fc.tuple(member, fc.nat({ max: 600 })), { minLength: 1, maxLength: 4 });

test('members and their padding come out whole, whatever the pieces', async () => {
  const size = fc.constantFrom(1, 2, 3, 19, 511, 65_536);
  await fc.assert(
    fc.asyncProperty(padded, size, async (members, piece) => {
      const file = Buffer.concat(members.flatMap(([bytes, zeros]) => [gzipSync(bytes), Buffer.alloc(zeros)]));
      const plain = Buffer.concat(members.map(([bytes]) => bytes)).toString('latin1');
      expect(await inPieces(file, piece)).toBe(plain);
      expect(await atOnce(file)).toBe(plain);
    }),
    { numRuns: runs(20) },
  );
});

test.each([1, 7, 512, 65_536])('what is no member behind padding is refused, in pieces of %i bytes', async (size) => {
  const [one, two] = [gzipSync('one'), gzipSync('two')];
  const zeros = Buffer.alloc(512);
  const garbage = Buffer.concat([one, zeros, Buffer.from('damaged rest')]);
  expect(await inPieces(garbage, size)).toBe(await atOnce(garbage));
  expect(await inPieces(garbage, size)).toMatch(
    `data.gz is damaged: from byte ${one.length + 512} on it is no gzip data`,
  );
  const cut = Buffer.concat([one, zeros, two.subarray(0, -3)]);
  expect(await inPieces(cut, size)).toMatch(/^data.gz is damaged or cut short/);
  expect(await inPieces(Buffer.from('plain text'), size)).toMatch(/^data.gz is not gzip data/);
  expect(await inPieces(Buffer.concat([one, zeros, two]), size, 5)).toMatch(/^data.gz decompresses to more than/);
});

test('a reader that stops early ends it', async () => {
  const file = Buffer.concat([gzipSync(Buffer.alloc(2 ** 20)), Buffer.alloc(9), gzipSync('more')]);
  let closed = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* pieces(file, 100);
    } finally {
      closed = true;
    }
  }
  for await (const part of gunzip(source(), 'data.gz', 2 ** 30)) {
    expect(part.length).toBeGreaterThan(0);
    break;
  }
  expect(closed).toBe(true);
});

test('an error of the file itself is passed on', async () => {
  const head = gzipSync('a text').subarray(0, 12);
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield head;
    throw new Error('the disk is gone');
  }
  const read = async () => {
    for await (const _ of gunzip(broken(), 'data.gz', 100));
  };
  await expect(read()).rejects.toThrow('the disk is gone');
});
