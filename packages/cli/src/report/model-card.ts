/** @file The README.md of an exported model: what it is, how to open it, the data and the command it comes from, and its figures. */
import { type BltConfig, transformersDiffers } from '@blt-ts/blt';
import { parametersByPart } from '../run/model-size.ts';
import type { RunDetails } from '../run/summary.ts';
import { printableMessage } from '../terminal/errors.ts';
import { counted, humanBytes, humanCount, humanDuration, plusMinus } from '../terminal/human-units.ts';
import { VERSION } from '../version.ts';
import { patchingInWords } from './patching-rule.ts';

/** The step of a run that a model is, with the bytes of its data where they are known. */
export interface Trained {
  readonly run: RunDetails;
  readonly step: number;
  readonly bytes: { readonly train: number; readonly heldOut: number } | null;
}

/** A text of one line, with its control characters shown. */
const printable = (text: string): string => printableMessage(text.replaceAll('\n', '\\n'));

/** A text in a Markdown code span. What it quotes cannot end the span. */
function code(text: string): string {
  const shown = printable(text);
  let fence = '`';
  while (shown.includes(fence)) fence += '`';
  return fence === '`' ? `\`${shown}\`` : `${fence} ${shown} ${fence}`;
}

const row = (...cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

/** The figure on held-out bytes that was measured at this very step. */
function heldOutRow({ run, step }: Trained): string[] {
  const { full } = run;
  if (full?.step === step) {
    const figure = plusMinus({ ...full, bitsPerByte: full.heldOutBitsPerByte }, 3);
    return [row('bits per byte, held-out', `${figure} on ${counted(full.bytes, 'byte')}, the model alone`)];
  }
  const quick = run.metrics.find((line) => line.step === step && typeof line.heldOutBitsPerByte === 'number');
  if (quick === undefined) return [];
  return [row('bits per byte, held-out', `${quick.heldOutBitsPerByte!.toFixed(3)}, a quick evaluation on a sample`)];
}

function trainedFigures(trained: Trained): string[] {
  const { run, step } = trained;
  const last = run.metrics.filter((line) => line.step <= step).at(-1);
  const seconds = last?.seconds;
  return [
    ...heldOutRow(trained),
    row('steps', `${step} of ${run.steps}`),
    ...(last === undefined ? [] : [row('training bytes seen', humanBytes(last.bytes))]),
    ...(typeof seconds === 'number' ? [row('training time', humanDuration(seconds))] : []),
  ];
}

function originSection({ run, bytes }: Trained): string[] {
  const { record } = run;
  const names = record.data.length === 0 ? 'Moby Dick (public domain)' : record.data.map(code).join(', ');
  const sizes =
    bytes === null
      ? ''
      : ` ${counted(bytes.train, 'byte was', 'bytes were')} trained on, ${counted(bytes.heldOut, 'was', 'were')} held out.`;
  const before = record.plan.modelOrigin ? [`It went on from ${code(record.plan.modelOrigin.source)}.`, ''] : [];
  return [
    '## Data',
    '',
    `Trained on ${names}.${sizes} SHA-256 of the data: ${code(record.dataHash)}.`,
    '',
    ...before,
    '## Command',
    '',
    `${code(record.command)} (blt ${printable(record.version)}, seed ${record.plan.seed})`,
    '',
  ];
}

function patches({ patching }: BltConfig): string {
  return patching.mode === 'static' ? `of ${patching.patchSize} bytes` : `by ${patchingInWords(patching)}`;
}

/**
 * The model card of an export.
 * @param name of the model, as a heading
 * @param trained null: the weights are no step of a run, and nothing is said of their data
 */
export function modelCard(name: string, config: BltConfig, trained: Trained | null): string {
  const parts = parametersByPart({ config });
  const total = parts.reduce((sum, { count }) => sum + count, 0);
  const differs = transformersDiffers(config).map((note) => `- ${note[0].toUpperCase()}${note.slice(1)}.`);
  return [
    '---',
    'library_name: transformers',
    'pipeline_tag: text-generation',
    'tags: [blt, byte-latent-transformer]',
    '---',
    `# ${printable(name).replace(/[\\`*_[\]<>#&]/g, '\\$&')}`,
    '',
    `A [Byte Latent Transformer](https://arxiv.org/abs/2412.09871) of ${humanCount(total)} parameters. It reads and writes bytes. It was exported by blt ${VERSION}.`,
    '',
    '```python',
    'from transformers import pipeline',
    '',
    "generate = pipeline('text-generation', model='.')  # this folder",
    "print(generate('The ', do_sample=False)[0]['generated_text'])",
    '```',
    '',
    '`blt generate --model .` opens the folder too.',
    '',
    '## Figures',
    '',
    row('', ''),
    '|---|---|',
    ...(trained === null ? [] : trainedFigures(trained)),
    ...parts.map(({ part, count }) => row(`parameters, ${part}`, String(count))),
    row('patches', patches(config)),
    '',
    ...(trained === null
      ? ['## Data', '', 'Not known: the folder that was exported is no step of a run.', '']
      : originSection(trained)),
    '## In transformers',
    '',
    '- Leave `use_cache` false, as the files have it. The cache of transformers gives a BLT other logits.',
    '- Prompts of one batch need the same length in bytes, because padding changes where patches are cut.',
    '- Text is bytes: `</s>` in a prompt is four bytes. Bytes that are no UTF-8 come out as U+FFFD.',
    ...differs,
    '',
  ].join('\n');
}
