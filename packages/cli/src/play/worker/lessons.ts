/**
 * @file The calls of the chapters about the whole model. They compute on the CPU of this machine, whatever backend is chosen, because
 * they look at single values all the time.
 */
import type { Checkpoint } from '@blt-ts/blt';
import { forEachTensor, release } from '@blt-ts/tensor';
import { readCheckpoint } from '../checkpoint-files.ts';
import type { CheckpointFiles, LessonStep, PatchStep, Reading } from '../messages.ts';
import { startBackend } from './backends.ts';
import { LessonTrainer } from './lesson-trainer.ts';
import { PatchStepper } from './patch-stepper.ts';
import { readPassage } from './reading.ts';

/** The model of the chapters, a text in the making, and a copy of the model that learns. */
export class Lessons {
  private model: Checkpoint | null = null;
  private stepper: PatchStepper | null = null;
  private trainer: LessonTrainer | null = null;
  /** Raised by every choice of a model, so that a slower earlier one does not replace it. */
  private turn = 0;

  /** @throws Error, ConfigError or SafetensorsError naming what is wrong with the files */
  async use(files: CheckpointFiles): Promise<void> {
    const turn = ++this.turn;
    const { backend } = await startBackend('wasm').catch(() => startBackend('reference'));
    const model = await readCheckpoint(files, backend);
    if (turn !== this.turn) {
      forEachTensor([model.params, model.patcher], release);
      return;
    }
    this.forget();
    if (this.model) forEachTensor([this.model.params, this.model.patcher], release);
    this.model = model;
  }

  read(bytes: Uint8Array): Reading {
    return readPassage(this.checkpoint, bytes);
  }

  begin(prompt: Uint8Array): PatchStep {
    this.stepper?.release();
    this.stepper = new PatchStepper(this.checkpoint, prompt);
    return this.stepper.begin();
  }

  /** @throws Error if no text was begun */
  next(byte: number): PatchStep {
    if (!this.stepper) throw new Error('no text was begun; start again');
    return this.stepper.next(byte);
  }

  /** Takes a step on a copy that is thrown away, so that the first step of a reader is answered as fast as the later ones. */
  warmUp(bytes: Uint8Array): boolean {
    const copy = new LessonTrainer(this.checkpoint);
    copy.step(bytes, 0.001);
    copy.dispose();
    return true;
  }

  train(bytes: Uint8Array, lr: number): LessonStep {
    this.trainer ??= new LessonTrainer(this.checkpoint);
    return this.trainer.step(bytes, lr);
  }

  untrain(): void {
    this.trainer?.dispose();
    this.trainer = null;
  }

  private forget(): void {
    this.untrain();
    this.stepper?.release();
    this.stepper = null;
  }

  private get checkpoint(): Checkpoint {
    if (!this.model) throw new Error('the model of the chapters is not loaded yet');
    return this.model;
  }
}
