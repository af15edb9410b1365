/** @file `blt patch`: text or files cut into patches, on the terminal, as JSON, or as a page. */
import { type PatchingOptions, VOCAB_SIZE } from '@blt-ts/blt';
import { announce, chooseBackend } from '../config/backend-choice.ts';
import type { BackendName } from '../config/backend-names.ts';
import { unusedPatching } from '../config/config-schema.ts';
import type { Document } from '../data/document.ts';
import { loadDocuments } from '../data/sources.ts';
import { checkCanWrite, writeFileAtomically } from '../files/atomic-file.ts';
import { patchBytes } from '../report/patch-bytes.ts';
import { type PatchesData, renderPatchesHtml } from '../report/patches-page.ts';
import { patchingInWords } from '../report/patching-rule.ts';
import { loadModel } from '../run/find-model.ts';
import { usesColor } from '../terminal/color.ts';
import { UserError } from '../terminal/errors.ts';
import { counted } from '../terminal/human-units.ts';
import { Complaints, note, say, sayColoured, sayJson, warn } from '../terminal/output.ts';
import { patchSummary, showPatches } from '../terminal/patch-view.ts';
import { breathing } from '../threads/breathing.ts';

export interface PatchFlags {
  readonly model?: string;
  readonly text?: string;
  readonly textField?: string;
  readonly raw?: boolean;
  readonly mode?: 'entropy' | 'space' | 'static' | 'byte';
  readonly threshold?: number;
  readonly monotonic?: boolean;
  readonly thresholdAdd?: number;
  readonly patchSize?: number;
  readonly maxPatchLength?: number;
  readonly maxBytes: number;
  readonly json?: boolean;
  readonly html?: string;
  readonly backend?: BackendName;
  readonly threads?: number;
}

/** `blt patch`. @returns the exit code */
export async function patchCommand(files: readonly string[], flags: PatchFlags): Promise<number> {
  if (flags.text === undefined && files.length === 0) {
    throw new UserError('nothing to cut: give a file, "-" for standard input, or --text "..."', 2);
  }
  if (flags.text !== undefined && files.length > 0) {
    throw new UserError(`--text and ${files[0]}: give a text or files, not both`, 2);
  }
  if (flags.html !== undefined && flags.json) throw new UserError('--html and --json: give one of them', 2);
  if (flags.html !== undefined) checkCanWrite(flags.html);
  const { textField, raw, maxBytes } = flags;
  const complaints = new Complaints();
  const documents: Document[] =
    flags.text !== undefined
      ? [firstBytes(Buffer.from(flags.text), maxBytes)]
      : await loadDocuments(files, { textField, raw, maxBytes, minBytes: 1, warn, refused: complaints.add });
  if (documents.length === 0) return complaints.code;
  const mode = flags.mode ?? (flags.patchSize !== undefined ? 'static' : undefined);
  const needsModel = mode === undefined || mode === 'entropy';
  const choice = needsModel ? await chooseBackend(flags) : null;
  const loaded = choice && (await loadModel(flags.model, choice.backend));
  if (choice) announce(choice);
  const patching = patchingFor(flags, mode, loaded?.checkpoint.config.patching);
  if (patching.mode === 'entropy' && !loaded?.checkpoint.patcher) {
    throw new UserError(`${loaded?.folder} has no entropy model; choose --mode space, static or byte`, 2);
  }
  const pages: PatchesData[] = [];
  const breathe = breathing(20);
  for (const { name, bytes, cutFrom } of documents) {
    await breathe();
    if (cutFrom !== undefined) {
      const of = cutFrom === null ? '' : ` of ${cutFrom}`;
      note(`${name}: the first ${counted(bytes.length, 'byte')}${of} (--max-bytes)`);
    }
    const result = await patchBytes(bytes, loaded?.checkpoint ?? null, patching);
    if (flags.html) {
      pages.push({ ...result, source: name, mode: patchingInWords(patching), model: loaded?.folder });
    } else if (flags.json) {
      sayJson({ source: name, patching, ...result });
    } else {
      if (documents.length > 1) say(`== ${name}`);
      sayColoured(showPatches(bytes, result.patchLengths as number[], { color: usesColor(process.stdout) }));
      sayColoured(patchSummary(result.patchLengths as number[]));
    }
  }
  if (flags.html) {
    await writeFileAtomically(flags.html, Buffer.from(renderPatchesHtml(pages)));
    say(`wrote ${flags.html}`);
  }
  return complaints.code;
}

function firstBytes(bytes: Uint8Array, most: number): Document {
  if (bytes.length <= most) return { name: 'text', bytes };
  return { name: 'text', bytes: bytes.subarray(0, most), cutFrom: bytes.length };
}

/** Flags over what the model does by itself. @throws UserError for flags that this way of cutting does not read */
export function patchingFor(
  flags: Partial<PatchFlags>,
  mode: PatchFlags['mode'],
  own: PatchingOptions | undefined,
): PatchingOptions {
  const maxPatchLength = flags.maxPatchLength ?? own?.maxPatchLength ?? null;
  const chosen = mode ?? own?.mode ?? 'entropy';
  const { threshold, monotonic, thresholdAdd, patchSize } = flags;
  const given = { threshold, monotonic, threshold_add: thresholdAdd, patch_size: patchSize };
  // Nothing is trained to a mean size here: only patches of one size have it.
  const sized = chosen === 'static' ? [] : (['patch_size'] as const);
  const unused = [...unusedPatching(chosen), ...sized].find((key) => given[key] !== undefined);
  if (unused !== undefined) {
    const flag = unused.replace('_', '-');
    throw new UserError(`--${flag} has no meaning for patches by ${chosen}; leave it out, or give another --mode`, 2);
  }
  switch (chosen) {
    case 'entropy': {
      const entropy = own?.mode === 'entropy' ? own : null;
      const threshold = flags.threshold ?? entropy?.threshold;
      if (threshold === undefined) throw new UserError('the model has no entropy threshold; give --threshold NATS', 2);
      if (!(threshold >= -Math.log(VOCAB_SIZE) && threshold <= Math.log(VOCAB_SIZE))) {
        throw new UserError(
          `threshold ${threshold} is out of range; entropies are 0 .. ${Math.log(VOCAB_SIZE).toFixed(4)} nats`,
          2,
        );
      }
      if (flags.monotonic && flags.thresholdAdd !== undefined) {
        throw new UserError('--monotonic and --threshold-add do not go together; leave one out', 2);
      }
      return {
        mode: 'entropy',
        threshold,
        // Each of the two replaces the other of the model.
        monotonic: flags.monotonic ?? (flags.thresholdAdd === undefined && (entropy?.monotonic ?? false)),
        thresholdAdd: flags.thresholdAdd ?? (flags.monotonic ? null : (entropy?.thresholdAdd ?? null)),
        maxPatchLength,
      };
    }
    case 'static':
      return {
        mode: 'static',
        patchSize: flags.patchSize ?? (own?.mode === 'static' ? own.patchSize : 4),
        maxPatchLength,
      };
    default:
      return { mode: chosen, maxPatchLength };
  }
}
