/** @file The files of a tar archive as pieces, in the order of the archive. */
import { isCompressedName, isJsonlName, isParquetName, isTarName, refusePacked } from '../data/packed.ts';
import { isCompressed, isRegular, isWanted, plainName } from '../data/tar.ts';
import { reason, UserError } from '../terminal/errors.ts';
import type { Piece } from './piece.ts';

const isNested = (name: string): boolean =>
  [isCompressedName, isJsonlName, isParquetName, isTarName].some((is) => is(name));

/** @throws UserError if the archive is damaged or cut short, or holds what would have to be read by its kind */
export async function* tarPieces(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  isFound: boolean,
): AsyncGenerator<readonly Piece[]> {
  const { Parser } = await import('tar/parse');
  let ready: Piece[] = [];
  let entries = 0;
  let failed: unknown;
  const parser = new Parser({
    strict: true,
    filter: (path, entry) => 'type' in entry && isRegular(entry.type) && isWanted(path),
    onReadEntry: (entry) => {
      const label = plainName(entry.path);
      const ordinal = entries++;
      let isFirst = true;
      const push = (bytes: Uint8Array, isLast: boolean) => {
        try {
          if (isFirst) checkEntry(`${name}:${label}`, bytes, isFound);
        } catch (error) {
          failed ??= error;
        }
        ready.push({ ordinal, label, start: 0, size: entry.size, bytes, isFirst, isLast });
        isFirst = false;
      };
      entry.on('data', (bytes: Uint8Array) => push(bytes, false));
      entry.on('end', () => push(new Uint8Array(0), true));
    },
  });
  parser.on('error', (error: unknown) => {
    failed ??= new UserError(`${name} is damaged or no tar archive (${reason(error)}); fetch or pack it again`);
  });
  let isFirst = true;
  for await (const chunk of chunks) {
    if (isFirst && isCompressed(chunk)) {
      throw new UserError(`${name} is no tar archive but packed twice; unpack it yourself`);
    }
    isFirst = false;
    parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    if (failed) throw failed;
    yield ready;
    ready = [];
  }
  const ended = new Promise<void>((resolve) => parser.on('end', resolve));
  parser.end();
  if (!failed) await ended;
  if (failed) throw failed;
  yield ready;
}

function checkEntry(name: string, first: Uint8Array, isFound: boolean): void {
  if (isNested(name)) {
    throw new UserError(
      `${name} is packed or JSON lines in an archive, which is read only where all data fit into --max-memory; unpack the archive yourself`,
    );
  }
  refusePacked(name, first, { isFound });
}
