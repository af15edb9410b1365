/**
 * @file The streams of an archive. A stream is a part of the text that is coded on its own: its blocks know nothing of others, and a range
 * coder of its own writes them. So threads can share the streams of a text, and whoever has one thread codes several streams in one pass
 * of the model. On a batch-invariant backend both give the same bytes.
 */
import { Decoder } from '../decoding/decoder.ts';
import { ArchiveError } from '../errors.ts';
import { MemoryMixture } from '../memory/memory-mixture.ts';
import type { TextMemory } from '../memory/text-memory.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { type BlockCoder, BlockDecoder, BlockEncoder } from './block-coders.ts';
import { codeBlocks, cutBlocks } from './blocks.ts';
import { sameBytes } from './coding-model.ts';
import { MixedDecoder, MixedEncoder } from './mixed-coders.ts';

/** Some streams that are to be coded. It can be sent to another thread as it is. */
export interface StreamWork {
  readonly direction: 'encode' | 'decode';
  /** The texts of the streams, or their coded bytes. */
  readonly inputs: readonly Uint8Array[];
  /** Bytes of the text of each stream. */
  readonly sizes: readonly number[];
  /** Blocks of each stream. */
  readonly blocks: number;
  /** Most blocks that are coded side by side. */
  readonly places: number;
  /** Most ids that the model looks back. */
  readonly contextBytes: number;
  /** Predicts beside the model. It is not changed: each stream has a copy of what it knows. Such a work cannot be sent elsewhere. */
  readonly memory?: TextMemory;
}

/**
 * Codes streams, in this thread or in others. Yields the bytes of text done so far now and then.
 * @returns coded bytes, or texts, in the order of the streams
 */
export type StreamRunner = (work: StreamWork) => AsyncGenerator<number, readonly Uint8Array[]>;

/** The coder of one stream, and what comes of it. */
interface StreamCoder {
  readonly coder: BlockCoder;
  readonly text: Uint8Array;
  /** The coded bytes, or the text. @throws ArchiveError if `compress` writes other bytes for this text */
  result(): Uint8Array;
}

const mixtureOf = (memory: TextMemory): MemoryMixture => new MemoryMixture(memory.fork(0));

function encoder(text: Uint8Array, memory: TextMemory | undefined): StreamCoder {
  const coder = memory ? new MixedEncoder(mixtureOf(memory)) : new BlockEncoder();
  return { coder, text, result: () => coder.finish() };
}

function decoder(coded: Uint8Array, size: number, memory: TextMemory | undefined): StreamCoder {
  const coder = memory ? new MixedDecoder(mixtureOf(memory), coded) : new BlockDecoder(coded);
  const text = new Uint8Array(size);
  const result = () => {
    // So that no damage goes unnoticed.
    if (sameBytes(coder.finish(), coded)) return text;
    throw new ArchiveError('the archive is damaged: its contents are coded in other bytes');
  };
  return { coder, text, result };
}

/** Coders of several streams as one. Each stream has `width` rows. */
class SideBySide implements BlockCoder {
  readonly known: boolean;
  private readonly coders: readonly BlockCoder[];
  private width = 0;

  constructor(coders: readonly BlockCoder[]) {
    this.coders = coders;
    this.known = coders[0].known;
  }

  begin(blocks: readonly Uint8Array[]): boolean[] {
    const width = blocks.length / this.coders.length;
    this.width = width;
    return this.coders.flatMap((coder, s) => coder.begin(blocks.slice(s * width, (s + 1) * width)));
  }

  code(r: number, i: number, logits: Float32Array, at: number): void {
    this.coders[Math.floor(r / this.width)].code(r % this.width, i, logits, at);
  }

  end(): void {
    for (const coder of this.coders) coder.end();
  }
}

/**
 * Codes streams with one model, as many side by side as `places` has room for.
 * @returns coded bytes, or texts   @throws ArchiveError for coded bytes that are damaged
 */
export function* codeStreams(work: StreamWork, checkpoint: Checkpoint): Generator<number, Uint8Array[]> {
  const { direction, inputs, sizes, blocks, places, memory } = work;
  const width = Math.min(blocks, places);
  const together = Math.min(inputs.length, Math.floor(places / width));
  const model = new Decoder(checkpoint, { sequences: width * together, chunkBytes: 4096 });
  const results: Uint8Array[] = [];
  let done = 0;
  try {
    for (let first = 0; first < inputs.length; first += together) {
      const coders = inputs
        .slice(first, first + together)
        .map((input, i) =>
          direction === 'encode' ? encoder(input, memory) : decoder(input, sizes[first + i], memory),
        );
      for (const now of codeTogether(model, coders, work)) yield done + now;
      for (const one of coders) results.push(one.result());
      done += coders.reduce((sum, { text }) => sum + text.length, 0);
    }
  } finally {
    model.release();
  }
  return results;
}

function* codeTogether(
  model: Decoder,
  streams: readonly StreamCoder[],
  { blocks, places, contextBytes }: StreamWork,
): Generator<number> {
  const coder = new SideBySide(streams.map((stream) => stream.coder));
  const cut = streams.map(({ text }) => cutBlocks(text, blocks));
  let done = 0;
  for (let first = 0; first < blocks; first += places) {
    const group = cut.flatMap((all) => all.slice(first, first + places));
    for (const now of codeBlocks(model, group, coder, contextBytes)) yield done + now;
    done += group.reduce((sum, { length }) => sum + length, 0);
  }
}
