/** @file The data of a run as training sees them, whether they are in memory or stay on disk. */
import type { LoadedCorpus } from './corpus.ts';
import { type Document, totalBytes } from './document.ts';
import { documentListText, heldOutHash } from './document-list.ts';
import { sampleDocuments, sampleOfEach } from './sample.ts';
import { type Part, type SplitMode, splitHash } from './split.ts';

/** How much of a corpus a run reads; null: all of it. */
export interface Sample {
  readonly trainBytes: number | null;
  readonly heldOutBytes: number | null;
  /** Bytes that the memory remembers, where a time sets a limit. */
  readonly memoryBytes?: number;
}

/** Both parts of a corpus. */
export interface Documents {
  readonly train: readonly Document[];
  readonly heldOut: readonly Document[];
}

/** The bytes of its data that a run reads. */
export interface ReadData extends Documents {
  /** The end of the training part: no less of it than was asked for. */
  readonly end: readonly Document[];
}

/** Counts, hashes and samples of a corpus that is split. */
export interface RunData {
  /** How the held-out part was chosen; null: it was given. */
  readonly mode: SplitMode | null;
  /** Documents of `--data`. */
  readonly documents: number;
  readonly trainBytes: number;
  readonly heldOutBytes: number;
  readonly heldOutDocuments: number;
  /** Documents that `--dedupe` left out of the training part. */
  readonly leftOut: readonly Part[];
  /** SHA-256 of the data and how they are split. */
  readonly hash: string;
  readonly heldOutHash: string | null;
  /** Bytes of it that are in memory. */
  readonly bytesInMemory: number;
  /** The whole corpus in memory; null where it stays on disk. */
  readonly loaded: LoadedCorpus | null;
  /** The text of data.jsonl; null where there is none. */
  documentList(): string | null;
  /**
   * The documents that a run reads. The same for the same sample and seed.
   * @param endBytes bytes of the end of the training part that are wanted too
   */
  sampled(sample: Sample | undefined, seed: number, endBytes: number): Promise<ReadData>;
  /** Enough for a few steps. */
  rehearsal(seed: number): Documents;
  /** Frees what it holds on disk. */
  close(): void;
}

/** Bytes that a rehearsal takes of each part. */
const REHEARSAL = { train: 2 ** 18, heldOut: 2 ** 14 };

/** A corpus in memory. */
export class DataInMemory implements RunData {
  readonly loaded: LoadedCorpus;
  readonly trainBytes: number;
  readonly heldOutBytes: number;
  readonly hash: string;

  constructor(loaded: LoadedCorpus) {
    this.loaded = loaded;
    this.trainBytes = totalBytes(loaded.train);
    this.heldOutBytes = totalBytes(loaded.heldOut);
    this.hash = splitHash(loaded);
  }

  get mode(): SplitMode | null {
    return this.loaded.mode;
  }

  get documents(): number {
    return this.loaded.documents;
  }

  get heldOutDocuments(): number {
    return this.loaded.heldOut.length;
  }

  get leftOut(): readonly Part[] {
    return this.loaded.leftOut;
  }

  get heldOutHash(): string | null {
    return heldOutHash(this.loaded);
  }

  get bytesInMemory(): number {
    return this.trainBytes + this.heldOutBytes;
  }

  documentList(): string {
    return documentListText(this.loaded);
  }

  async sampled(sample: Sample | undefined, seed: number): Promise<ReadData> {
    const { trainBytes = null, heldOutBytes = null } = sample ?? {};
    const { train, heldOut } = this.loaded;
    return {
      train: trainBytes === null ? train : this.sampleOf('train', trainBytes, seed),
      heldOut: heldOutBytes === null ? heldOut : this.sampleOf('heldOut', heldOutBytes, seed),
      end: train,
    };
  }

  /** A sample of one part. Of a mixture, each source gives its share to train on, and as many bytes as the others to be measured on. */
  private sampleOf(part: 'train' | 'heldOut', bytes: number, seed: number): readonly Document[] {
    const { weights, heldOutSources, [part]: documents } = this.loaded;
    if (!weights) return sampleDocuments(documents, bytes, seed);
    const shares = part === 'train' ? weights : (heldOutSources ?? []).map(() => 1);
    return sampleOfEach(documents, shares, bytes, seed);
  }

  rehearsal(seed: number): Documents {
    return {
      train: this.sampleOf('train', REHEARSAL.train, seed),
      heldOut: this.sampleOf('heldOut', REHEARSAL.heldOut, seed),
    };
  }

  close(): void {}
}
