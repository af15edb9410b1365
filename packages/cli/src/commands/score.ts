/** @file `blt score`: bits per byte of files, lines or bytes under one or several models. */
import { announce, chooseBackend } from '../config/backend-choice.ts';
import type { BackendName } from '../config/backend-names.ts';
import { checkCanWrite, writeFileAtomically } from '../files/atomic-file.ts';
import { thresholdLine } from '../report/patching-rule.ts';
import { SurprisePage } from '../report/surprise-page.ts';
import { loadModel } from '../run/find-model.ts';
import { memoryBeside } from '../run/memory-file.ts';
import { byteTableFormat, type Format, jsonFormat, plainFormat, tableFormat } from '../scoring/formats.ts';
import { KeptTexts } from '../scoring/keep.ts';
import { MostSurprising, type NamedModel, type Scored, scoreGroup, surprise } from '../scoring/scored.ts';
import { textGroups } from '../scoring/texts.ts';
import { UserError } from '../terminal/errors.ts';
import { counted, humanBytes, humanDuration } from '../terminal/human-units.ts';
import { endAtSignal } from '../terminal/interrupt.ts';
import { Complaints, note, say, warn } from '../terminal/output.ts';

export interface ScoreFlags {
  readonly per: 'file' | 'line' | 'byte';
  readonly model?: readonly string[];
  readonly top?: number;
  readonly above?: number;
  readonly minBytes: number;
  readonly keepBelow?: number;
  readonly out?: string;
  readonly html?: string;
  readonly json?: boolean;
  readonly tsv?: boolean;
  readonly textField?: string;
  readonly raw?: boolean;
  readonly memory?: boolean;
  readonly backend?: BackendName;
  readonly threads?: number;
}

/** Flags that exclude each other, and those that lack another. @throws UserError */
function checkFlags(files: readonly string[], flags: ScoreFlags): void {
  const refused = (message: string): never => {
    throw new UserError(message, 2);
  };
  if (files.length === 0) refused('nothing to score: give a file, or "-" for standard input');
  if (flags.json && flags.tsv) refused('--json and --tsv: give one of them');
  if (flags.html !== undefined && (flags.json || flags.tsv)) {
    refused(`--html and ${flags.json ? '--json' : '--tsv'}: give one of them`);
  }
  if (flags.keepBelow !== undefined && flags.out === undefined) refused('--keep-below needs a new folder: --out DIR');
  if (flags.out !== undefined && flags.keepBelow === undefined) refused('--out is for --keep-below BITS; give both');
  const twice = flags.model?.find((path, i, all) => all.indexOf(path) !== i);
  if (twice !== undefined) refused(`--model ${twice} is given twice; leave one out`);
  if (flags.html !== undefined && flags.model && flags.model.length > 1) {
    refused(`--html shows one model, and ${flags.model.length} are given; make a page for each`);
  }
  const chosen = (['top', 'above', 'keepBelow'] as const).find((name) => flags[name] !== undefined);
  if (chosen === undefined) return;
  const name = chosen === 'keepBelow' ? 'keep-below' : chosen;
  if (flags.per === 'byte') refused(`--${name} chooses files or lines; leave it out, or give --per file or --per line`);
  if (flags.keepBelow !== undefined && (flags.top !== undefined || flags.above !== undefined)) {
    refused('--keep-below writes what is expected, --top and --above show what is not; give one of them');
  }
}

async function loadModels(flags: ScoreFlags): Promise<NamedModel[]> {
  const choice = await chooseBackend(flags);
  const paths: readonly (string | undefined)[] = flags.model ?? [undefined];
  const models: NamedModel[] = [];
  for (const path of paths) {
    const { checkpoint, folder } = await loadModel(path, choice.backend);
    const memory = flags.memory ? memoryBeside(folder, true) : null;
    models.push({ name: path ?? folder, checkpoint, memory });
  }
  announce(choice);
  return models;
}

function formatOf(flags: ScoreFlags, names: readonly string[]): Format {
  const perByte = flags.per === 'byte';
  if (flags.json) return jsonFormat(names, perByte);
  if (perByte) return byteTableFormat(names);
  return flags.tsv ? tableFormat(names, flags.per === 'line') : plainFormat(names, flags.per === 'line');
}

/** Sums over all texts that were scored. */
class Totals {
  texts = 0;
  bytes = 0;
  private readonly bits: number[];
  private readonly wins: number[];
  private readonly models: readonly NamedModel[];

  constructor(models: readonly NamedModel[]) {
    this.models = models;
    this.bits = models.map(() => 0);
    this.wins = models.map(() => 0);
  }

  add({ bytes, figures, best }: Scored): void {
    this.texts++;
    this.bytes += bytes.length;
    for (const [i, { bits }] of figures.entries()) this.bits[i] += bits;
    this.wins[best]++;
  }

  say(what: string, seconds: number): void {
    const speed = `${humanBytes(this.bytes)} in ${humanDuration(seconds)}, ${humanBytes(this.bytes / seconds)}/s`;
    const each = this.models.map(({ name }, i) => {
      const figure = `${(this.bits[i] / this.bytes).toFixed(4)} bits per byte`;
      return this.models.length === 1 ? figure : `${name} ${figure}, best for ${this.wins[i]}`;
    });
    note(`${counted(this.texts, what)}, ${speed}: ${each.join('; ')}`);
  }
}

/** `blt score`. @returns the exit code */
export async function scoreCommand(files: readonly string[], flags: ScoreFlags): Promise<number> {
  checkFlags(files, flags);
  if (flags.html !== undefined) checkCanWrite(flags.html);
  const kept = flags.out === undefined ? null : new KeptTexts(flags.out, flags.raw);
  const discard = () => kept?.discard();
  const done = kept && endAtSignal('nothing was kept', discard);
  process.once('exit', discard);
  try {
    return await scoreAll(files, flags, kept);
  } finally {
    discard();
    process.off('exit', discard);
    done?.();
  }
}

async function scoreAll(files: readonly string[], flags: ScoreFlags, kept: KeptTexts | null): Promise<number> {
  const models = await loadModels(flags);
  const format = formatOf(
    flags,
    models.map(({ name }) => name),
  );
  const { patching } = models[0].checkpoint.config;
  const page = flags.html === undefined ? null : new SurprisePage(models[0].name, thresholdLine(patching));
  const top = flags.top === undefined ? null : new MostSurprising(flags.top);
  const totals = new Totals(models);
  const shows = page === null && (kept === null || flags.json === true || flags.tsv === true);
  const show = (text: Scored): void => {
    page?.add(text);
    if (shows) format.show(text);
  };
  // The head comes with the first text, so that a file that cannot be read is refused without one.
  let headed = !shows;
  const head = (): void => {
    if (!headed) format.begin();
    headed = true;
  };
  const begun = performance.now();
  const complaints = new Complaints();
  for await (const group of textGroups(files, {
    ...flags,
    lines: flags.per === 'line',
    warn,
    refused: complaints.add,
  })) {
    head();
    for (const text of await scoreGroup(models, group)) {
      totals.add(text);
      if (flags.above !== undefined && surprise(text) <= flags.above) continue;
      if (kept && surprise(text) >= flags.keepBelow!) continue;
      kept?.add(text);
      if (top) top.add(text);
      else show(text);
    }
  }
  if (totals.texts === 0 && complaints.code !== 0) return complaints.code;
  head();
  for (const text of top?.sorted() ?? []) show(text);
  if (totals.texts > 0) totals.say(flags.per === 'line' ? 'line' : 'file', (performance.now() - begun) / 1000);
  else warn(`nothing was scored: ${flags.minBytes > 1 ? `nothing has ${flags.minBytes} bytes` : 'there is no line'}`);
  if (page) {
    await writeFileAtomically(flags.html!, Buffer.from(page.html()));
    say(`wrote ${flags.html}`);
  }
  if (kept && complaints.code !== 0) note(`${flags.out} was not made, because some files could not be read`);
  else if (kept) {
    kept.finish();
    const all = `${totals.texts} (${humanBytes(totals.bytes)})`;
    note(`kept ${kept.texts} of ${all}, ${humanBytes(kept.bytes)}, in ${flags.out}`);
  }
  return complaints.code;
}
