/** @file Documents from Parquet: the rows of one column of texts. Row groups are read one after the other. */
import type { AsyncBuffer, FileMetaData } from 'hyparquet';
import { reason, UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { TEXT_FIELDS } from './jsonl.ts';

/** The texts of a row group are in memory together. */
const MOST_GROUP_BYTES = 2 ** 29;
/** Null costs no bytes in the file, but a place in memory. Writers make groups of a million rows at most. */
const MOST_GROUP_ROWS = 2 ** 21;

/** Choice and bound of what is read. */
interface ParquetOptions {
  /** The column; otherwise the first of {@link TEXT_FIELDS} that is there. */
  readonly textField?: string;
  /** Most bytes of all texts. A dictionary lets a small file hold very many. */
  readonly limit: number;
}

/** Texts of a row group, and the row of the first. Null and empty texts are empty. */
export interface ParquetTexts {
  readonly firstRow: number;
  readonly texts: readonly Uint8Array[];
}

const utf8 = new TextEncoder();

/** Texts as the bytes that are stored. A decoder would put U+FFFD in the place of what is no UTF-8. */
const AS_STORED = { utf8: false, parsers: { stringFromBytes: (bytes: Uint8Array | undefined) => bytes } };

/**
 * The texts of a Parquet file, row group by row group.
 * @throws UserError if it is damaged, has no such column, or one that is no text, or grows past the limit
 */
export async function* parquetTexts(
  file: AsyncBuffer,
  name: string,
  { textField, limit }: ParquetOptions,
): AsyncGenerator<ParquetTexts> {
  const { parquetMetadataAsync, parquetReadObjects } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const damaged = (error: unknown): UserError =>
    error instanceof UserError
      ? error
      : new UserError(`${name} is damaged or no Parquet file (${reason(error)}); fetch or write it again`);
  let metadata: FileMetaData;
  try {
    metadata = await parquetMetadataAsync(file);
  } catch (error) {
    throw damaged(error);
  }
  const column = textColumn(metadata, name, textField);
  let firstRow = 0;
  let grown = 0;
  for (const group of metadata.row_groups) {
    const chunk = group.columns.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === column)?.meta_data;
    const bytes = Number(chunk?.total_uncompressed_size ?? 0);
    const rows = Math.max(Number(group.num_rows), Number(chunk?.num_values ?? 0));
    checkGroup(name, rows, bytes);
    let objects: Record<string, unknown>[];
    try {
      const rowRange = { rowStart: firstRow, rowEnd: firstRow + Number(group.num_rows) };
      objects = await parquetReadObjects({ file, metadata, columns: [column], compressors, ...AS_STORED, ...rowRange });
    } catch (error) {
      throw damaged(error);
    }
    const within = Math.min(limit - grown, MOST_GROUP_BYTES);
    let size = 0;
    const texts = objects.map((object, i) => {
      const text = textOf(object[column], `${name} row ${firstRow + i + 1}`, column);
      size += text.length;
      if (size > within) throw tooLarge(name, within < MOST_GROUP_BYTES ? limit : MOST_GROUP_BYTES);
      return text;
    });
    grown += size;
    yield { firstRow, texts };
    firstRow += Number(group.num_rows);
  }
}

const tooLarge = (name: string, limit: number): UserError =>
  new UserError(`${name} holds more than ${humanBytes(limit)} of texts; if that is meant, write them to a .jsonl file`);

function checkGroup(name: string, rows: number, bytes: number): void {
  if (bytes <= MOST_GROUP_BYTES && rows <= MOST_GROUP_ROWS) return;
  throw new UserError(
    `${name} has a row group of ${rows} rows with ${humanBytes(bytes)} of texts; at most ${MOST_GROUP_ROWS} and ${humanBytes(MOST_GROUP_BYTES)} are read; write it with smaller row groups`,
  );
}

function textOf(value: unknown, where: string, column: string): Uint8Array {
  if (value === null || value === undefined) return new Uint8Array(0);
  if (value instanceof Uint8Array) return new Uint8Array(value);
  // Of columns of JSON and of UUIDs, which are no plain texts.
  if (typeof value === 'string') return utf8.encode(value);
  throw new UserError(`${where}: column '${column}' is a ${typeof value}, not a text; name another with --text-field`);
}

/** The columns that hold values, and not records or lists. The schema is a tree, written from the root down, left to right. */
function plainColumns(schema: FileMetaData['schema']): FileMetaData['schema'] {
  let inside = 0;
  return schema.slice(1).filter(({ type, num_children: children = 0 }) => {
    const isColumn = inside === 0;
    inside += children - (isColumn ? 0 : 1);
    return isColumn && type !== undefined;
  });
}

function textColumn({ schema }: FileMetaData, name: string, textField?: string): string {
  const columns = plainColumns(schema);
  const names = textField === undefined ? TEXT_FIELDS : [textField];
  const found = names.find((wanted) => columns.some((column) => column.name === wanted));
  if (found !== undefined) return found;
  const have = columns
    .slice(0, 8)
    .map((column) => column.name)
    .join(', ')
    .slice(0, 200);
  const looked = textField === undefined ? `none of the columns ${TEXT_FIELDS.join(', ')}` : `no column '${textField}'`;
  throw new UserError(`${name} has ${looked} (its columns: ${have || 'none'}); name the column with --text-field`);
}

/** A Parquet file that is in memory. */
export const bufferOf = (bytes: Uint8Array): AsyncBuffer => ({
  byteLength: bytes.length,
  slice: (from, to) => new Uint8Array(bytes.subarray(from, to)).buffer,
});
