/** @file `blt compress` and `blt decompress`: files in the bits that a model gives them, and back. */
import { brotliCompressSync, constants } from 'node:zlib';
import {
  type Archive,
  type CodingMemory,
  type CodingModel,
  codingMemory,
  compressing,
  decompressing,
  type Progress,
  packModel,
  readArchive,
  readArchives,
  type StreamLayout,
  type StreamRunner,
  streamLayout,
} from '@blt-ts/blt';
import { availableThreads, createReferenceBackend, type WasmBackend } from '@blt-ts/tensor';
import { CompressionThreads } from '../compression/compression-threads.ts';
import { type ConversionFlags, convertFiles } from '../data/converted-files.ts';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { deterministicBackend, type ModelPlace, openCodingModel } from '../run/coding-model.ts';
import { findModel, loadModel, newestRun } from '../run/find-model.ts';
import { needsSpreading } from '../run/large-model.ts';
import { hasMemory, type MemoryWords, textMemoryBeside } from '../run/memory-file.ts';
import { checkContext } from '../run/open-model.ts';
import { UserError } from '../terminal/errors.ts';
import { counted, humanBytes } from '../terminal/human-units.ts';
import { note, quiet, sayJson } from '../terminal/output.ts';
import { StatusLine } from '../terminal/progress.ts';

interface ArchiveFlags extends ConversionFlags {
  readonly model?: string;
  readonly threads?: number;
}

/** Flags of `blt compress`. */
export interface CompressFlags extends ArchiveFlags {
  readonly block?: number;
  readonly places?: number;
  readonly context?: number;
  readonly selfContained?: boolean;
  readonly memory?: boolean;
}

const SUFFIX = '.bltz';
/** Bytes of a file from which a memory has something to learn. */
const WORTH_LEARNING = 4096;

const TO_COMPRESS = { who: '--memory', otherwise: 'leave out --memory', exitCode: 2 } as const;
const TO_OPEN = {
  who: 'the archive needs a memory',
  otherwise: 'the archive needs it as it was',
  exitCode: 1,
} as const;

/** The memory of a model's run. */
async function memoryOf(folder: string, words: MemoryWords): Promise<CodingMemory> {
  const memory = textMemoryBeside(folder, true, words)!;
  note(`memory: the ${humanBytes(memory.history.length)} that the model was trained on`);
  return codingMemory(memory);
}

/** The model of a command with its threads. */
class Opened {
  /** Null where the model travels inside an archive. */
  readonly folder: string | null;
  readonly model: CodingModel;
  readonly packedModel: Uint8Array | undefined;
  readonly runner: StreamRunner;
  private readonly threads: CompressionThreads;
  private memory: CodingMemory | undefined;

  private constructor(place: ModelPlace, model: CodingModel, backend: WasmBackend, threads: CompressionThreads) {
    this.folder = 'folder' in place ? place.folder : null;
    this.model = model;
    this.packedModel = 'packed' in place ? place.packed : undefined;
    this.threads = threads;
    this.runner = threads.runner(model, backend);
  }

  /** Opens a model, here and at the same time in the threads that a text of that layout is worth. */
  static async at(
    place: ModelPlace,
    { threads: count = availableThreads() }: ArchiveFlags,
    layout: StreamLayout,
  ): Promise<Opened> {
    const threads = new CompressionThreads(place, count);
    try {
      threads.start(layout);
      const backend = await deterministicBackend(count);
      return new Opened(place, await openCodingModel(place, backend), backend, threads);
    } catch (error) {
      await threads.end();
      throw error;
    }
  }

  /** The memory beside the model, read when it is first asked for; none beside a model that travels. */
  async memoryBeside(words: MemoryWords): Promise<CodingMemory | undefined> {
    if (this.folder !== null) this.memory ??= await memoryOf(this.folder, words);
    return this.memory;
  }

  end(): Promise<void> {
    return this.threads.end();
  }
}

/** The folder of a model. @throws UserError if it does not fit into one memory */
async function modelFolder(model: string | undefined): Promise<string> {
  const path = await findModel(model ?? (await newestRun()));
  if (needsSpreading(openModelFolder(path).config)) {
    throw new UserError(`${path} does not fit into one WebAssembly memory of 4 GiB; compress with a smaller model`, 2);
  }
  return path;
}

/** The result of a computation whose progress is shown. */
async function shown<R>(name: string, what: string, steps: AsyncGenerator<Progress, R>): Promise<R> {
  const line = quiet() || !process.stderr.isTTY ? null : new StatusLine(process.stderr);
  const start = performance.now();
  for (;;) {
    const next = await steps.next();
    if (next.done) {
      line?.drop();
      return next.value;
    }
    const { done, total } = next.value;
    const rate = (1000 * done) / (performance.now() - start);
    line?.show(`${what} ${name}  ${Math.floor((100 * done) / total)}%  ${humanBytes(rate)}/s`);
  }
}

/** The outcome of the file converted last. */
interface Figures {
  readonly bytes: number;
  readonly archiveBytes: number;
  readonly seconds: number;
}

/** Says what became of a file. */
function report({ bytes, archiveBytes, seconds }: Figures, json: boolean | undefined, from: string, to: string | null) {
  const bitsPerByte = bytes === 0 ? null : (8 * archiveBytes) / bytes;
  if (json) {
    sayJson({ from, to, bytes, archive_bytes: archiveBytes, bits_per_byte: bitsPerByte, seconds });
    return;
  }
  const sizes = `${counted(bytes, 'byte')}, ${archiveBytes} in the archive`;
  const share =
    bitsPerByte === null
      ? ''
      : ` (${((100 * archiveBytes) / bytes).toFixed(1)}%, ${bitsPerByte.toFixed(3)} bits a byte)`;
  note(`${from}${to === null ? '' : ` -> ${to}`}: ${sizes}${share}, ${humanBytes(bytes / Math.max(seconds, 1e-3))}/s`);
}

/** Says when a model inside an archive pays: brotli needs none. */
function notePay(text: Uint8Array, archiveBytes: number, modelBytes: number): void {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24 };
  const others = brotliCompressSync(text, { params }).length;
  const gain = others - (archiveBytes - modelBytes);
  const from = (modelBytes * text.length) / gain;
  const when = gain > 0 ? `it pays from ${humanBytes(from)} of such bytes on` : 'it never pays for such bytes';
  note(`the model inside has ${humanBytes(modelBytes)}; beside brotli -9, ${when}`);
}

/** A model that has read other text stores few bytes of this one. A memory learns from it on the way. */
function noteMemory(name: string, text: Uint8Array, archive: Uint8Array, folder: string): void {
  if (text.length < WORTH_LEARNING || 2 * archive.length < text.length || !hasMemory(folder)) return;
  note(
    `${name} is little like the text of the model; --memory learns while it compresses, and may make it much smaller`,
  );
}

/** The place of the model that travels: it is rounded, so it is the one that compresses. */
async function packedPlace(folder: string): Promise<ModelPlace> {
  const { checkpoint } = await loadModel(folder, createReferenceBackend());
  return { packed: packModel(checkpoint) };
}

/** `blt compress`. @returns the exit code */
export async function compressCommand(files: readonly string[], flags: CompressFlags): Promise<number> {
  let opened: Opened | undefined;
  let figures: Figures;
  const { block: blockBytes, places, context: contextBytes } = flags;
  if (flags.memory && flags.selfContained) {
    throw new UserError('--self-contained puts the model alone into the archive; leave out --memory', 2);
  }
  try {
    return await convertFiles(files, flags, {
      binary: true,
      nameOf: (file) => {
        if (!file.endsWith(SUFFIX) || flags.force) return file + SUFFIX;
        throw new UserError(`it ends in ${SUFFIX} already; compress it again with -f`);
      },
      convert: async (text, name) => {
        if (!opened) {
          const folder = await modelFolder(flags.model);
          note(`model: ${folder}`);
          const place = flags.selfContained ? await packedPlace(folder) : { folder };
          opened = await Opened.at(place, flags, streamLayout(text.length, blockBytes, flags.memory));
        }
        const { model, packedModel, runner } = opened;
        checkContext(model.checkpoint, contextBytes);
        const memory = flags.memory ? await opened.memoryBeside(TO_COMPRESS) : undefined;
        const start = performance.now();
        const options = { blockBytes, places, contextBytes, packedModel, memory, runner };
        const archive = await shown(name, 'compressing', compressing(text, model, options));
        figures = { bytes: text.length, archiveBytes: archive.length, seconds: (performance.now() - start) / 1000 };
        if (packedModel && !quiet()) notePay(text, archive.length, packedModel.length);
        if (!memory && opened.folder !== null) noteMemory(name, text, archive, opened.folder);
        if (memory && (await readArchive(archive)).header.memory.length === 0) {
          note(`${name}: the memory makes it no smaller, so the archive is made without`);
        }
        return archive;
      },
      report: (from, to) => report(figures, flags.json, from, to),
    });
  } finally {
    await opened?.end();
  }
}

/** Opens archives, with the model of the command or with those inside. */
class Opener {
  private readonly flags: ArchiveFlags;
  private ours: Opened | undefined;

  constructor(flags: ArchiveFlags) {
    this.flags = flags;
  }

  /** The contents of an archive, and the seconds it took. */
  async contents(archive: Archive, name: string): Promise<{ text: Uint8Array; seconds: number }> {
    const isWhole = archive.model.length > 0;
    const opened = isWhole
      ? await Opened.at({ packed: archive.model }, this.flags, archive.header)
      : await this.withOurs(archive);
    try {
      const memory = archive.header.memory.length > 0 ? await opened.memoryBeside(TO_OPEN) : undefined;
      const start = performance.now();
      const work = decompressing(archive, opened.model, { memory, runner: opened.runner });
      const text = await shown(name, 'decompressing', work);
      return { text, seconds: (performance.now() - start) / 1000 };
    } finally {
      if (isWhole) await opened.end();
    }
  }

  async end(): Promise<void> {
    await this.ours?.end();
  }

  private async withOurs({ header }: Archive): Promise<Opened> {
    if (!this.ours) {
      const folder = await modelFolder(this.flags.model);
      note(`model: ${folder}`);
      this.ours = await Opened.at({ folder }, this.flags, header);
    }
    return this.ours;
  }
}

/** `blt decompress`. @returns the exit code */
export async function decompressCommand(files: readonly string[], flags: ArchiveFlags): Promise<number> {
  const opener = new Opener(flags);
  let figures: Figures;
  try {
    return await convertFiles(files, flags, {
      binary: false,
      nameOf: (file) => {
        if (file.endsWith(SUFFIX) && file.length > SUFFIX.length) return file.slice(0, -SUFFIX.length);
        throw new UserError(`its name does not end in ${SUFFIX}; name the result with --out`);
      },
      convert: async (bytes, name) => {
        const parts: Uint8Array[] = [];
        let seconds = 0;
        for (const archive of await readArchives(bytes)) {
          const part = await opener.contents(archive, name);
          parts.push(part.text);
          seconds += part.seconds;
        }
        const text = parts.length === 1 ? parts[0] : Buffer.concat(parts);
        figures = { bytes: text.length, archiveBytes: bytes.length, seconds };
        return text;
      },
      report: (from, to) => report(figures, flags.json, from, to),
    });
  } finally {
    await opener.end();
  }
}
