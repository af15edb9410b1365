/** @file A `Replay` whose inputs have names. */
import { type Backend, Replay, type ReplayInput, type Tensor } from '@blt-ts/tensor';

/** Inputs by name, in the same order at every run. */
type Inputs<In> = { readonly [K in keyof In]: ReplayInput };
/** The tensors of named inputs. */
export type Tensors<In> = { readonly [K in keyof In]: Tensor };

/** `f` of named inputs, recorded once for each combination of their lengths. See `Replay` for what `f` may do. */
export class NamedReplay<In extends Inputs<In>, Counts> {
  private readonly replay: Replay<Counts>;
  private names: string[] = [];

  constructor(backend: Backend, f: (inputs: Tensors<In>, counts: Counts) => Tensor[]) {
    this.replay = new Replay(backend, (tensors, counts) =>
      f(Object.fromEntries(this.names.map((name, i) => [name, tensors[i]])) as Tensors<In>, counts),
    );
  }

  /** @param once do not record: for inputs whose lengths will hardly come again */
  run(inputs: In, counts: Counts, once: boolean): Tensor[] {
    this.names = Object.keys(inputs);
    return this.replay.run(Object.values<ReplayInput>(inputs), counts, once);
  }

  /** Drops all recordings and gives their memory back. */
  forget(): void {
    this.replay.forget();
  }
}
