/** @file A piece of a document, as files are read. */
/** Bytes of a document, in order. */
export interface Piece {
  /** Number of the document in its file; ascending. */
  readonly ordinal: number;
  /** Its name among the other documents of its file: a line, a row, a path. Null where it is the only one. */
  readonly label: string | number | null;
  /** Byte of the file at which the document begins, where that means something. */
  readonly start: number;
  /** Bytes of the whole document, where its first piece knows them. */
  readonly size: number | null;
  readonly bytes: Uint8Array;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}
