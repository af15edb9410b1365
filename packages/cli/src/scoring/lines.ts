/** @file Lines of a stream of bytes, each as soon as it is whole. */
import { UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';

const NEWLINE = 10;
/** A longer line is a sign that there are none. */
const MOST_LINE_BYTES = 2 ** 24;

/** Lines with the line break at their end, as they are in the stream: all of them end to end are the stream. */
export class LineSplitter {
  private readonly name: string;
  private begun: Uint8Array[] = [];
  private held = 0;

  /** @param name of the stream, for messages */
  constructor(name: string) {
    this.name = name;
  }

  /** The lines that end in this chunk. @throws UserError for a line of more than 16 MiB */
  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.begun.push(chunk.subarray(from, end + 1));
      lines.push(this.taken());
      from = end + 1;
    }
    if (from < chunk.length) {
      // A copy, because what is held is not to hold the whole chunk. `slice` of a Buffer would be a view.
      this.begun.push(new Uint8Array(chunk.subarray(from)));
      this.held += chunk.length - from;
    }
    if (this.held > MOST_LINE_BYTES) {
      throw new UserError(
        `a line of ${this.name} has more than ${humanBytes(MOST_LINE_BYTES)}; score it whole with --per file`,
      );
    }
    return lines;
  }

  /** The last line, if the stream ends without a line break. */
  end(): Uint8Array[] {
    return this.begun.length === 0 ? [] : [this.taken()];
  }

  private taken(): Uint8Array {
    const { begun } = this;
    this.begun = [];
    this.held = 0;
    return begun.length === 1 ? begun[0] : new Uint8Array(Buffer.concat(begun));
  }
}
