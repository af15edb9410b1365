/** @file Taking measures of finished runs: text under noise, and tasks whose answers are right or wrong. */
import { type Backend, Random } from '@blt-ts/tensor';
import { excerptOf, type StudyDocument } from './chunks.ts';
import { type StudyCorpus, studyCorpus } from './corpora.ts';
import { loadWeights } from './cutting.ts';
import { decodingFigures } from './decoding.ts';
import { type Measure, type Measured, measurePath, type NoiseFigures, type TaskFigures } from './measure.ts';
import { CHOICES, choices, NOISES, noised } from './noise.ts';
import { armOf } from './one-run.ts';
import type { RunConfig } from './run-config.ts';
import type { DocumentScore, StudyFolder } from './run-folders.ts';
import { type Scored, scoreDocument, scoreItems } from './scoring.ts';

const digits = (flags: readonly boolean[]): string => flags.map((flag) => (flag ? '1' : '0')).join('');

async function underNoise(
  model: Scored,
  name: string,
  documents: readonly StudyDocument[],
  { row_bytes: rowBytes }: RunConfig,
  { excerpt_bytes: most, items }: Extract<Measure, { kind: 'noise' }>,
): Promise<NoiseFigures> {
  const random = new Random(0).fork('documents');
  const scores: DocumentScore[] = [];
  for (const document of documents) {
    const { bytes, name: file } = excerptOf(document, most);
    const spoilt = { name: file, bytes: noised(bytes, NOISES[name], random), complete: false };
    scores.push({ ...(await scoreDocument(model, spoilt, rowBytes)), bytes: bytes.length });
  }
  const answers = await scoreItems(model, choices(documents, items, NOISES[name]), false);
  const cost = answers.map(({ nats, bytes }) => nats / bytes);
  const right = Array.from({ length: items }, (_, i) => {
    const four = cost.slice(CHOICES * i, CHOICES * (i + 1));
    return four[0] === four.reduce((a, b) => Math.min(a, b));
  });
  return { noise: name, documents: scores, choices: digits(right) };
}

async function onTasks(model: Scored, { tests }: StudyCorpus, most: number): Promise<TaskFigures[]> {
  const figures: TaskFigures[] = [];
  for (const { task, items } of tests ?? []) {
    const some = items.slice(0, most);
    const scores = await scoreItems(model, some, true);
    const whole = some.map(({ word }) => {
      const [row] = model.arm.rows({ name: '', bytes: word, complete: false }, [word.length], false);
      // The first unit of a model of patches is the mark of a beginning.
      return row.patchLengths.length > 0 ? row.patchLengths.length === 2 : row.targets.length === 1;
    });
    figures.push({ task, items: digits(scores.map(({ exact }) => exact)), whole: digits(whole) });
  }
  return figures;
}

/** Takes a measure of a run that is done, and writes it to the run's folder. */
export async function takeMeasure(config: RunConfig, m: Measure, folder: StudyFolder, backend: Backend): Promise<void> {
  const corpus = await studyCorpus(config.corpus, folder.path('corpora'));
  if (m.kind === 'decoding') {
    const decodes = config.kind === 'patch' && config.cross_attention !== 'none';
    const decoding = decodes ? await decodingFigures(config, corpus, folder, backend, m) : null;
    await folder.write(measurePath(config, m, folder), `${JSON.stringify({ kind: 'decoding', decoding })}\n`);
    return;
  }
  const arm = await armOf(config, corpus, folder, backend);
  const model = { arm, params: await loadWeights(arm, config, folder, backend), backend };
  let result: Measured;
  if (m.kind === 'tasks') result = { kind: 'tasks', tasks: await onTasks(model, corpus, m.items) };
  else {
    const noises: NoiseFigures[] = [];
    for (const name of Object.keys(NOISES)) noises.push(await underNoise(model, name, corpus.heldOut, config, m));
    result = { kind: 'noise', noises };
  }
  await folder.write(measurePath(config, m, folder), `${JSON.stringify(result)}\n`);
}
