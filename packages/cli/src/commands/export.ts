/** @file `blt export`: a folder that transformers opens, with the tokenizer and the model card beside the weights. */
import { basename, dirname, join, resolve } from 'node:path';
import {
  type BltConfig,
  forTransformers,
  transformersConfig,
  transformersDiffers,
  transformersFiles,
} from '@blt-ts/blt';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { writeModelFolder } from '../files/write-model-folder.ts';
import { modelCard, type Trained } from '../report/model-card.ts';
import { findModel, newestRun } from '../run/find-model.ts';
import { RunFolder, runOfModel } from '../run/folder.ts';
import { readFullEvaluation } from '../run/full-evaluation.ts';
import { readMetrics } from '../run/metrics-file.ts';
import { type RunDetails, runDetails } from '../run/summary.ts';
import { say, sayJson, warn } from '../terminal/output.ts';
import { type ConvertedModel, convertedJson, convertedText } from './converted-model.ts';
import { type ConvertFlags, dtypeOf } from './import.ts';

interface ExportFlags extends ConvertFlags {
  readonly model?: string;
  readonly shardSize?: number;
}

/** The details of a run as they were when it had come to a model that is kept in a folder beside its steps. */
function asFinished(run: RunDetails, folder: string): RunDetails {
  const metrics = readMetrics(join(folder, 'metrics.jsonl'));
  return { ...run, metrics, full: readFullEvaluation(folder), steps: metrics.at(-1)?.step ?? run.steps };
}

/** The run and the step that a model folder is. A run that cannot be read is warned of. @returns null where it is none */
async function trainedAs(folder: string): Promise<Trained | null> {
  if (runOfModel(folder) === null) return null;
  const [kind, step] = basename(resolve(folder)).split('-');
  const path = dirname(resolve(folder));
  try {
    const run = await runDetails(path);
    const list = await new RunFolder(path).documentList();
    const sum = (part: 'train' | 'heldOut') =>
      list!.documents.reduce((bytes, { [part]: [from, to] = [0, 0] }) => bytes + to - from, 0);
    const bytes = list?.complete ? { train: sum('train'), heldOut: sum('heldOut') } : null;
    return { run: kind === 'finished' ? asFinished(run, folder) : run, step: Number(step), bytes };
  } catch (error) {
    warn(`README.md says nothing of data and figures: ${(error as Error).message}`);
    return null;
  }
}

/** The texts of the files that go beside config.json and the weights. */
async function filesBeside(folder: string, config: BltConfig): Promise<Record<string, string>> {
  const trained = await trainedAs(folder);
  const name = trained === null ? basename(resolve(folder)) : `${trained.run.name}, step ${trained.step}`;
  const files = Object.entries(transformersFiles(config)).map(([file, json]) => [
    file,
    `${JSON.stringify(json, null, 2)}\n`,
  ]);
  return { ...Object.fromEntries(files), 'README.md': modelCard(name, config, trained) };
}

/** `blt export`: a run or checkpoint becomes a folder that transformers opens. @returns the exit code */
export async function exportCommand(flags: ExportFlags): Promise<number> {
  const folder = await findModel(flags.model ?? (await newestRun()));
  const opened = openModelFolder(folder);
  const own: BltConfig = { ...opened.config, behaviour: flags.behaviour ?? opened.config.behaviour };
  const { config, stored } = forTransformers(own, opened.stored);
  const beside = await filesBeside(folder, own);
  const written = await writeModelFolder(flags.out, config, stored, {
    dtype: dtypeOf(flags),
    shardBytes: flags.shardSize,
    json: transformersConfig(config),
    beside,
  });
  const made: ConvertedModel = { ...written, folder: flags.out, layout: opened.layout, config, stored: opened.stored };
  const differs = transformersDiffers(own);
  if (flags.json) sayJson({ ...convertedJson(made), beside: Object.keys(beside), differs });
  else {
    say(convertedText(made));
    say(`beside the weights: ${Object.keys(beside).join(', ')}`);
    for (const note of differs) say(`transformers: ${note}`);
  }
  return 0;
}
