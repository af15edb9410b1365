/** @file `blt compress` and `blt decompress`: files in the bits that a model gives them, and back. */
import { brotliCompressSync, constants } from 'node:zlib';
import {
  type CodingModel,
  codingModel,
  compressing,
  decompressing,
  type Progress,
  packModel,
  readArchive,
  unpackModel,
} from '@blt-ts/blt';
import { availableThreads, type Backend, createWasmBackend } from '@blt-ts/tensor';
import { type ConversionFlags, convertFiles } from '../data/converted-files.ts';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { findModel, loadModel, newestRun } from '../run/find-model.ts';
import { needsSpreading } from '../run/large-model.ts';
import { UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
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

/** A backend whose bits are the same on every machine, engine and number of threads, and for one text as for many. */
async function sameEverywhere(threads = availableThreads()): Promise<Backend> {
  const backend = createWasmBackend({ threads, deterministic: true, batchInvariant: true });
  await backend.threadsReady();
  return backend;
}

/** @throws UserError if the model does not fit into one memory */
async function openModel(model: string | undefined, backend: Backend): Promise<CodingModel> {
  const path = await findModel(model ?? (await newestRun()));
  if (needsSpreading(openModelFolder(path).config)) {
    throw new UserError(`${path} does not fit into one WebAssembly memory of 4 GiB; compress with a smaller model`);
  }
  const { checkpoint, folder } = await loadModel(path, backend, 'stored');
  note(`model: ${folder}`);
  return codingModel(checkpoint);
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
  const sizes = `${bytes} bytes, ${archiveBytes} in the archive`;
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

/** `blt compress`. @returns the exit code */
export async function compressCommand(files: readonly string[], flags: CompressFlags): Promise<number> {
  let opened: { model: CodingModel; packedModel?: Uint8Array } | undefined;
  const open = async () => {
    const backend = await sameEverywhere(flags.threads);
    const model = await openModel(flags.model, backend);
    if (!flags.selfContained) return { model };
    // The model that travels is rounded, so it is the one that compresses.
    const packedModel = packModel(model.checkpoint);
    return { model: await codingModel(unpackModel(packedModel, backend)), packedModel };
  };
  let figures: Figures;
  return convertFiles(files, flags, {
    binary: true,
    nameOf: (file) => {
      if (!file.endsWith(SUFFIX) || flags.force) return file + SUFFIX;
      throw new UserError(`it ends in ${SUFFIX} already; compress it again with -f`);
    },
    convert: async (text, name) => {
      opened ??= await open();
      const { model, packedModel } = opened;
      const start = performance.now();
      const { block: blockBytes, places, context: contextBytes } = flags;
      const options = { blockBytes, places, contextBytes, packedModel };
      const archive = await shown(name, 'compressing', compressing(text, model, options));
      figures = { bytes: text.length, archiveBytes: archive.length, seconds: (performance.now() - start) / 1000 };
      if (packedModel && !quiet()) notePay(text, archive.length, packedModel.length);
      return archive;
    },
    report: (from, to) => report(figures, flags.json, from, to),
  });
}

/** `blt decompress`. @returns the exit code */
export async function decompressCommand(files: readonly string[], flags: ArchiveFlags): Promise<number> {
  let backend: Backend | undefined;
  let opened: CodingModel | undefined;
  let figures: Figures;
  return convertFiles(files, flags, {
    binary: false,
    nameOf: (file) => {
      if (file.endsWith(SUFFIX) && file.length > SUFFIX.length) return file.slice(0, -SUFFIX.length);
      throw new UserError(`its name does not end in ${SUFFIX}; name the result with --out`);
    },
    convert: async (bytes, name) => {
      const archive = await readArchive(bytes);
      backend ??= await sameEverywhere(flags.threads);
      const inside = archive.model.length > 0 ? await codingModel(unpackModel(archive.model, backend)) : null;
      if (!inside) opened ??= await openModel(flags.model, backend);
      const model = inside ?? opened!;
      const start = performance.now();
      const text = await shown(name, 'decompressing', decompressing(archive, model));
      figures = { bytes: text.length, archiveBytes: bytes.length, seconds: (performance.now() - start) / 1000 };
      return text;
    },
    report: (from, to) => report(figures, flags.json, from, to),
  });
}
