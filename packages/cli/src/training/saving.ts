/** @file When a run is saved, and what is known of its last save. */
import { join } from 'node:path';
import type { Session } from '@blt-ts/blt';
import { stepName } from '../run/folder.ts';
import { UserError } from '../terminal/errors.ts';
import type { Journal } from './journal.ts';
import type { TrainingJob } from './training-job.ts';

/** However rare the evaluations are, no more work than this is ever lost. */
const LONGEST_UNSAVED_SECONDS = 600;
/** The entropy model is saved when it is trained, unless that took less time than this. A save takes as long as some ten of its steps. */
const WORTH_SAVING_SECONDS = 60;

/** Saves a session into the folder of its run. */
export class Saving {
  private readonly job: TrainingJob;
  private readonly session: Session;
  private readonly journal: Journal;
  private savedAt = performance.now();
  /** Folder of the last save, null before the first. */
  saved: string | null;
  /** Something has happened that is not on disk. */
  unsaved = false;

  /** @param saved the folder that the run goes on from, null for a new run */
  constructor(job: TrainingJob, session: Session, journal: Journal, saved: string | null) {
    this.job = job;
    this.session = session;
    this.journal = journal;
    this.saved = saved;
  }

  /** Whether a save is due after a step. An evaluation saves anyway. */
  isDue(step: number): boolean {
    if (this.session.evaluationDue) return false;
    const { saveEvery } = this.job.record.care;
    const due = (saveEvery > 0 && step % saveEvery === 0) || this.session.beginsDecay;
    return due || performance.now() - this.savedAt > 1000 * LONGEST_UNSAVED_SECONDS;
  }

  /** Whether a save is due before an evaluation, whose verdict it needs, or behind the training of the entropy model. */
  isDueAtMilestone(): boolean {
    return this.session.phase === 'model' || performance.now() - this.savedAt > 1000 * WORTH_SAVING_SECONDS;
  }

  /** Marks the steps that a restored state knows of: a kill may have come between a step and its mark, and what has no mark is cleared away. */
  async markRestored(): Promise<void> {
    const { session } = this;
    const { folder } = this.job;
    if (session.best !== null) await folder.markBest(session.best.step);
    if (session.beginsDecay) await folder.markBeforeDecay(session.modelStep);
  }

  /** Saves as the model's step, which is 0 while the entropy model is trained. */
  async save({ best = false } = {}): Promise<void> {
    const { session } = this;
    const step = session.modelStep;
    const { care, plan } = this.job.record;
    this.journal.sync();
    const options = { best, keepLast: care.keepLast, plan };
    await this.job.folder.save(step, session.checkpoint(), session.lazyState(), options);
    if (session.beginsDecay) await this.job.folder.markBeforeDecay(step);
    this.hasSaved(step);
  }

  /** Saves the verdict of an evaluation on the step that was saved before it. */
  async saveVerdict(step: number, best: boolean): Promise<void> {
    if (this.saved !== stepName(step)) return this.save({ best });
    const { care, plan } = this.job.record;
    this.journal.sync();
    try {
      const options = { best, keepLast: care.keepLast, plan };
      await this.job.folder.saveVerdict(step, this.session.lazyState(), options);
    } catch (error) {
      // A file system without hard links: the weights are written once more.
      if (!(error instanceof UserError)) throw error;
      return this.save({ best });
    }
    this.hasSaved(step);
  }

  /** Saves if anything has happened since the last save. */
  async saveRest({ best = false } = {}): Promise<void> {
    if (this.unsaved || this.saved === null) await this.save({ best });
  }

  /** The checkpoint that a run leaves if it cannot go on, in words. */
  get kept(): string {
    return this.saved
      ? `the last good checkpoint ${join(this.job.folder.path, this.saved)} is whole`
      : 'nothing had been saved yet';
  }

  private hasSaved(step: number): void {
    this.saved = stepName(step);
    this.savedAt = performance.now();
    this.unsaved = false;
  }
}
