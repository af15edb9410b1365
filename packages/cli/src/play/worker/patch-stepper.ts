/** @file A text made one byte at a time, with all that is known before each byte is chosen. */
import { softmax } from '@blt-ts/autograd';
import { type Checkpoint, Decoder, encode } from '@blt-ts/blt';
import { scope, tensor } from '@blt-ts/tensor';
import { thresholdLine } from '../../report/patching-rule.ts';
import type { PatchStep } from '../messages.ts';

/** Next bytes that are shown. */
const CANDIDATES = 8;

/** The incremental decoder of the library, stopped before every byte. */
export class PatchStepper {
  private readonly checkpoint: Checkpoint;
  private readonly decoder: Decoder;
  private readonly promptBytes: number;
  private text: number[];

  constructor(checkpoint: Checkpoint, prompt: Uint8Array) {
    this.checkpoint = checkpoint;
    this.decoder = new Decoder(checkpoint);
    this.promptBytes = prompt.length;
    this.text = [...prompt];
  }

  /** Reads BOS and the prompt. */
  begin(): PatchStep {
    return this.read(encode(Uint8Array.from(this.text), { bos: true, eos: false }));
  }

  /** Reads one byte more. */
  next(byte: number): PatchStep {
    this.text.push(byte);
    return this.read(encode(Uint8Array.of(byte), { bos: false, eos: false }));
  }

  /** Gives the decoder's memory back. */
  release(): void {
    this.decoder.release();
  }

  private read(ids: Int32Array): PatchStep {
    const { decoder } = this;
    const { patching } = this.checkpoint.config;
    const [logits] = decoder.feed([ids]);
    const patchLengths = [...decoder.patchLengths()];
    const read = patchLengths.reduce((sum, length) => sum + length, 0);
    const entropic = patching.mode === 'entropy';
    return {
      text: Uint8Array.from(this.text),
      promptBytes: this.promptBytes,
      patchLengths,
      entropy: entropic ? decoder.entropy() : null,
      threshold: thresholdLine(patching),
      startsPatch: read === decoder.length(),
      globalSteps: decoder.globalSteps,
      candidates: this.candidates(logits),
    };
  }

  private candidates(logits: Float32Array): PatchStep['candidates'] {
    const { backend } = this.checkpoint.params.lm_head.weight;
    const p = scope(() => softmax(tensor(logits, [1, logits.length], { backend })).readSync());
    return Array.from(p, (probability, id) => ({ id, probability }))
      .sort((a, b) => b.probability - a.probability || a.id - b.id)
      .slice(0, CANDIDATES);
  }
}
