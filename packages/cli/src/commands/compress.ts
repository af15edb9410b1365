/** @file `blt compress` and `blt decompress`: files in the bits that a model gives them, and back. */
import { brotliCompressSync, constants } from 'node:zlib';
import {
  type CodingModel,
  compressing,
  decompressing,
  type Progress,
  packModel,
  readArchive,
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
}

const SUFFIX = '.bltz';

/** The model of a command with its threads. */
class Opened {
  readonly model: CodingModel;
  readonly packedModel: Uint8Array | undefined;
  readonly runner: StreamRunner;
  private readonly threads: CompressionThreads;

  private constructor(model: CodingModel, backend: WasmBackend, threads: CompressionThreads, packed?: Uint8Array) {
    this.model = model;
    this.packedModel = packed;
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
      const packed = 'packed' in place ? place.packed : undefined;
      return new Opened(await openCodingModel(place, backend), backend, threads, packed);
    } catch (error) {
      await threads.end();
      throw error;
    }
  }

  end(): Promise<void> {
    return this.threads.end();
  }
}

/** The folder of a model. @throws UserError if it does not fit into one memory */
async function modelFolder(model: string | undefined): Promise<string> {
  const path = await findModel(model ?? (await newestRun()));
  if (needsSpreading(openModelFolder(path).config)) {
    throw new UserError(`${path} does not fit into one WebAssembly memory of 4 GiB; compress with a smaller model`);
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
          opened = await Opened.at(place, flags, streamLayout(text.length, blockBytes));
        }
        const { model, packedModel, runner } = opened;
        const start = performance.now();
        const options = { blockBytes, places, contextBytes, packedModel, runner };
        const archive = await shown(name, 'compressing', compressing(text, model, options));
        figures = { bytes: text.length, archiveBytes: archive.length, seconds: (performance.now() - start) / 1000 };
        if (packedModel && !quiet()) notePay(text, archive.length, packedModel.length);
        return archive;
      },
      report: (from, to) => report(figures, flags.json, from, to),
    });
  } finally {
    await opened?.end();
  }
}

/** `blt decompress`. @returns the exit code */
export async function decompressCommand(files: readonly string[], flags: ArchiveFlags): Promise<number> {
  let ours: Opened | undefined;
  let figures: Figures;
  try {
    return await convertFiles(files, flags, {
      binary: false,
      nameOf: (file) => {
        if (file.endsWith(SUFFIX) && file.length > SUFFIX.length) return file.slice(0, -SUFFIX.length);
        throw new UserError(`its name does not end in ${SUFFIX}; name the result with --out`);
      },
      convert: async (bytes, name) => {
        const archive = await readArchive(bytes);
        const isWhole = archive.model.length > 0;
        if (!isWhole && !ours) {
          const folder = await modelFolder(flags.model);
          note(`model: ${folder}`);
          ours = await Opened.at({ folder }, flags, archive.header);
        }
        const opened = isWhole ? await Opened.at({ packed: archive.model }, flags, archive.header) : ours!;
        const start = performance.now();
        try {
          const text = await shown(name, 'decompressing', decompressing(archive, opened.model, opened.runner));
          figures = { bytes: text.length, archiveBytes: bytes.length, seconds: (performance.now() - start) / 1000 };
          return text;
        } finally {
          if (isWhole) await opened.end();
        }
      },
      report: (from, to) => report(figures, flags.json, from, to),
    });
  } finally {
    await ours?.end();
  }
}
