/**
 * @file A run made longer: `blt train --resume RUN --steps N`, or `--minutes M` for one that has ended. A run of schedule wsd goes on from the
 * state before its decay, so that it becomes the run that was planned for N steps. Any other goes on from its last state.
 */
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { learningRateMultiplier, type RunPlan, type SessionState } from '@blt-ts/blt';
import {
  type LinkedFile,
  linkedFiles,
  listFolders,
  pruneFolders,
  setLatest,
  setPointer,
  writeFolder,
} from '../files/atomic-folder.ts';
import { type RunFolder, STEP, stepName } from '../run/folder.ts';
import { FULL_EVALUATION, readFullEvaluation } from '../run/full-evaluation.ts';
import { MetricsFile, readMetrics } from '../run/metrics-file.ts';
import type { RunRecord } from '../run/record.ts';
import { modelSteps, readStateJson, STATE_ARRAYS, STATE_JSON, stateJsonText } from '../run/state-files.ts';
import { UserError } from '../terminal/errors.ts';
import { counted, grouped, humanBytes } from '../terminal/human-units.ts';
import { bytesPerStep } from './forecast.ts';
import type { Position } from './time-budget.ts';

/** A place that a run can go on from for longer. */
interface ExtensionPoint {
  /** Folder of the step. */
  readonly name: string;
  readonly step: number;
  /** Updates done in all, those after this place included. */
  readonly done: number;
  /** Updates that the run stands to do in all, which its time may have changed. */
  readonly planned: number;
  /** Whether the run is at its end. */
  readonly ended: boolean;
  /** Nothing before this place depended on the number of steps. */
  readonly isBeforeDecay: boolean;
}

const METRICS = 'metrics.jsonl';

const stateJson = (folder: RunFolder, name: string) => readStateJson(join(folder.path, name));

/** The place that a run would go on from if it were made longer; null for one whose model has no step yet. */
async function extensionPoint(folder: RunFolder, { plan }: RunRecord): Promise<ExtensionPoint | null> {
  const latest = await folder.latestName();
  if (latest === null) return null;
  const state = stateJson(folder, latest);
  const { phase, loop, stale } = state;
  if (loop === null || (phase !== 'model' && phase !== 'done')) return null;
  // The phase does not say it: a run whose time is up has its report too, and goes on as it was planned.
  const planned = modelSteps(state, plan);
  const ended = loop.step >= planned || stale >= plan.patience;
  const at = { done: loop.step, planned, ended };
  const before = await folder.beforeDecayName();
  if (before === null) return { ...at, name: latest, step: loop.step, isBeforeDecay: false };
  const { step } = stateJson(folder, before).loop!;
  // A run that has not come to its decay has nothing to take back.
  if (step > loop.step) return { ...at, name: latest, step: loop.step, isBeforeDecay: false };
  return { ...at, name: before, step, isBeforeDecay: true };
}

/** The wish that a run be made longer: to so many steps, or, if it is at its end, for a time. */
interface Wish {
  readonly steps: number | undefined;
  readonly minutes: number | undefined;
  /** false: the run's files stay as they are. */
  readonly write: boolean;
}

/**
 * The record of a run that is made longer if that is asked for.
 * @param fits the number of steps, in all, that fit into so many minutes from a position
 * @returns the record, the same one if nothing changes, and whether its steps follow from the time
 */
export async function extended(
  folder: RunFolder,
  record: RunRecord,
  { steps, minutes, write }: Wish,
  fits: (minutes: number, at: Position) => number,
  warn: (message: string) => void,
): Promise<{ record: RunRecord; fitted: boolean }> {
  if (write) await finishExtension(folder, record);
  const asBefore = { record, fitted: false };
  if (steps === undefined && minutes === undefined) return asBefore;
  const point = await extensionPoint(folder, record);
  if (point === null) {
    if (steps === undefined || steps === record.plan.model.loop.steps) return asBefore;
    throw new UserError(`${folder.path} has no step of its model yet; resume it without --steps first`, 2);
  }
  // A run that is to have these steps anyway and was stopped before its end goes on.
  if (!point.ended && (steps === undefined || steps === point.planned)) return asBefore;
  const { step, done } = point;
  const end = steps ?? Math.max(done + 1, fits(minutes!, { phase: 'model', step, steps: step }));
  checkSteps(folder, done, end);
  const longer = write ? await extendRun(folder, record, point, end, warn) : lengthened(record, point, end);
  const passes = passesOverSample(longer);
  if (passes !== null) warn(passes);
  return { record: longer, fitted: steps === undefined };
}

/** The place that a run goes on from once it was made longer. */
export const extendedFrom = ({ extended, plan }: RunRecord): Position => ({
  phase: 'model',
  step: extended!.at(-1)!.from,
  steps: plan.model.loop.steps,
});

/** Keeps the model that a run has come to, with its metrics and its full evaluation, beside its steps. @returns its folder */
async function keepFinished(folder: RunFolder): Promise<string> {
  const from = (await folder.bestName()) ?? (await folder.latestName())!;
  const linked = await linkedFiles(join(folder.path, from));
  const { [STATE_JSON]: _, [STATE_ARRAYS]: __, ...model } = linked;
  const figures = [METRICS, FULL_EVALUATION]
    .filter((file) => existsSync(join(folder.path, file)))
    .map((file) => [file, readFileSync(join(folder.path, file))]);
  const files = { ...model, ...Object.fromEntries(figures) };
  const name = await finishedName(folder.path, from.replace('step', 'finished'), model);
  return writeFolder(folder.path, name, files, { overwrite: true });
}

/** The name to keep a model under: another one where an earlier extension has kept another model of the same step. */
async function finishedName(path: string, plain: string, model: Readonly<Record<string, LinkedFile>>): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? plain : `${plain}-${number}`;
    if (!existsSync(join(path, name))) return name;
    const there = await linkedFiles(join(path, name)).catch(() => null);
    if (there && Object.entries(model).every(([file, { sha256 }]) => there[file]?.sha256 === sha256)) return name;
  }
}

/** The evaluation of the step that a state is of; null where it is still to be evaluated. */
function evaluationOf(path: string, { evaluatedAt, loop }: SessionState['json']): SessionState['json']['best'] {
  if (loop === null || evaluatedAt !== loop.step) return null;
  const records = readMetrics(join(path, METRICS)).filter(({ step }) => step === evaluatedAt);
  const figure = records.find(({ heldOutBitsPerByte }) => typeof heldOutBitsPerByte === 'number')?.heldOutBitsPerByte;
  return figure == null ? null : { step: evaluatedAt, bitsPerByte: figure };
}

/** Makes a saved step the newest, with the numbers of `json` as its state. The steps after it go. */
async function goBackTo(path: string, name: string, json: SessionState['json'], plan: RunPlan): Promise<void> {
  const linked = await linkedFiles(join(path, name));
  const steps = (await listFolders(path)).filter((step) => STEP.test(step));
  const keep = steps.slice(0, steps.indexOf(name) + 1);
  // The best step of then may be gone, because a later one was better. The model and its figure are those of one step.
  const isKept = json.best !== null && keep.includes(stepName(json.best.step));
  const best = isKept ? json.best : evaluationOf(path, json);
  const state = stateJsonText({ ...json, best }, plan);
  await writeFolder(path, name, { ...linked, [STATE_JSON]: state }, { overwrite: true });
  await setPointer(path, 'best', best === null ? name : stepName(best.step));
  // Last of the two: before it, the run still stands at its old end, and a resume begins this anew.
  await setLatest(path, name);
  await pruneFolders(path, { keepLast: 0, keep, only: STEP });
}

/** The record of a run with so many steps. */
function lengthened(record: RunRecord, { step }: Pick<ExtensionPoint, 'step'>, steps: number): RunRecord {
  const { model } = record.plan;
  const extended = [...(record.extended ?? []), { from: step, steps: model.loop.steps }];
  return { ...record, extended, plan: { ...record.plan, model: { ...model, loop: { ...model.loop, steps } } } };
}

/**
 * Makes a run longer on disk, so that a resume does the rest: config.json and the state that it goes on from have the new number of steps.
 * The model that the run has come to is kept in a folder of its own where steps are done anew.
 * @returns the new record   @throws UserError if the run has done so many steps
 */
async function extendRun(
  folder: RunFolder,
  record: RunRecord,
  { name, step, done, planned, isBeforeDecay }: ExtensionPoint,
  steps: number,
  warn: (message: string) => void,
): Promise<RunRecord> {
  const longer = lengthened(record, { step }, steps);
  const kept = step < done ? await keepFinished(folder) : null;
  await folder.writeRecord(longer);
  await goOnFrom(folder, name, longer.plan);
  const { loop } = record.plan.model;
  const isSteady = isBeforeDecay || [planned, steps].every((all) => isFullRate(loop, step, all));
  const isSampled = typeof record.sample?.trainBytes === 'number';
  warn(
    changesText({ step, steps, kept, isSteady, isLonger: steps > planned, wsd: loop.schedule === 'wsd', isSampled }),
  );
  return longer;
}

/** Makes a saved step the newest, so that a resume goes on from it under the plan. */
async function goOnFrom(folder: RunFolder, name: string, plan: RunPlan): Promise<void> {
  const { plan: _, loop, ...state } = stateJson(folder, name);
  const { steps: __, ...rest } = loop!;
  // A step that is done anew has other weights.
  const evaluated = readFullEvaluation(folder.path);
  if (evaluated !== null && evaluated.step > rest.step) await rm(join(folder.path, FULL_EVALUATION), { force: true });
  await goBackTo(folder.path, name, { ...state, phase: 'model', stale: 0, loop: rest }, plan);
  new MetricsFile(join(folder.path, METRICS), {
    resumeStep: rest.step,
    resumeEvaluated: state.evaluatedAt === rest.step,
  }).close();
}

/** The number of steps in a plan as it was saved. */
const stepsOf = (plan: unknown): number | undefined => (plan as RunPlan | undefined)?.model?.loop?.steps;

/** Does the rest of an extension that was killed once config.json had been written: the newest step is still one of the shorter run. */
async function finishExtension(folder: RunFolder, { plan, extended }: RunRecord): Promise<void> {
  const last = extended?.at(-1);
  const latest = last && (await folder.latestName());
  if (!last || !latest) return;
  const then = stepsOf(stateJson(folder, latest).plan);
  const from = stepName(last.from);
  if (then === last.steps && then !== plan.model.loop.steps && existsSync(join(folder.path, from))) {
    await goOnFrom(folder, from, plan);
  }
}

function checkSteps(folder: RunFolder, done: number, steps: number): void {
  if (steps > done) return;
  throw new UserError(
    `${folder.path} has done ${counted(done, 'step')}; to make it longer give more: --steps ${2 * done}`,
    2,
  );
}

/** Whether a run of so many steps in all is at its full rate at a step, and has been since the warm-up. */
const isFullRate = ({ schedule, decayFraction }: RunPlan['model']['loop'], step: number, totalSteps: number): boolean =>
  schedule === 'wsd' &&
  learningRateMultiplier(step, { schedule, totalSteps, decayFraction, warmupSteps: 0, minRatio: 0, decay: 'line' }) ===
    1;

/** The warning that a run reads its sample of the data more than once, which was drawn for fewer steps; null: it does not. */
export function passesOverSample({ plan, sample }: Pick<RunRecord, 'plan' | 'sample'>): string | null {
  const drawn = sample?.trainBytes ?? null;
  const { steps } = plan.model.loop;
  const passes = drawn === null ? 0 : (steps * bytesPerStep(plan)) / drawn;
  if (passes <= 1) return null;
  return `${grouped(steps, 'step')} are about ${passes.toFixed(1)} passes over ${humanBytes(drawn!)} of the data, because these were drawn for a shorter run and stay as they are; to read more of the data begin a new run, or go on from this model in a new run with --from`;
}

/** The change of a run, and its kept model. */
interface Change {
  readonly step: number;
  readonly steps: number;
  readonly kept: string | null;
  /** The learning rate does not jump. */
  readonly isSteady: boolean;
  readonly isLonger: boolean;
  readonly wsd: boolean;
  /** The run reads a sample of its data. */
  readonly isSampled: boolean;
}

/** The differences from a run that was planned for so many steps. */
function changesText({ step, steps, kept, isSteady, isLonger, wsd, isSampled }: Change): string {
  const sample = isSampled ? 'the sample of the data, ' : '';
  const rest = `${sample}dropout, hidden n-grams, weight decay, warm-up and evaluations stay as they were planned`;
  if (!isSteady) {
    const hint = wsd ? '' : '; a run of --schedule wsd loses nothing by it';
    return `from step ${step} on the learning rate is that of a run of ${counted(steps, 'step')}, so it ${isLonger ? 'rises' : 'falls'} once${hint}; ${rest}`;
  }
  const model = kept === null ? '' : `, and the model of the shorter run is kept in ${kept}`;
  return `the run goes on from step ${step}, before its decay, as if planned for ${counted(steps, 'step')}${model}; ${rest}`;
}
