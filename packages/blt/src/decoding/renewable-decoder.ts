/** @file A decoder that is replaced when texts begin anew. */
import type { Checkpoint } from '../model/checkpoint.ts';
import { Decoder, type DecoderOptions } from './decoder.ts';

/** One decoder after the other, at most one at a time. The counts are those of all of them. */
export class RenewableDecoder {
  private readonly checkpoint: Checkpoint;
  private readonly options: DecoderOptions;
  private decoder: Decoder | null = null;
  private readonly retired = { globalSteps: 0, byteSteps: 0 };

  constructor(checkpoint: Checkpoint, options: DecoderOptions) {
    this.checkpoint = checkpoint;
    this.options = options;
  }

  /** The decoder in use; a new one, which has read nothing, at first and after `retire`. */
  get current(): Decoder {
    this.decoder ??= new Decoder(this.checkpoint, this.options);
    return this.decoder;
  }

  /** Counts of the decoders that were retired. */
  get counts(): { readonly globalSteps: number; readonly byteSteps: number } {
    return this.retired;
  }

  /** Frees the decoder in use. */
  retire(): void {
    this.retired.globalSteps += this.decoder?.globalSteps ?? 0;
    this.retired.byteSteps += this.decoder?.byteSteps ?? 0;
    this.decoder?.release();
    this.decoder = null;
  }
}
