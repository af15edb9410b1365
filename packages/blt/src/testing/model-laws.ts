/** @file The laws of an autoregressive model: causality, independence of the batch, and decoding that equals the whole. */
import { expectSameBits, type Law, law } from '@blt-ts/autograd/testing';
import fc from 'fast-check';

/** A model that gives logits for the next id after each id of a text, of any architecture. */
export interface ModelUnderTest {
  /** How the laws call it. */
  readonly name: string;
  /** V: logits after each id. */
  readonly classes: number;
  /** Texts it can read, of at least 2 ids each. The ids of two texts may be exchanged place by place. */
  readonly texts: fc.Arbitrary<Int32Array>;
  /** Logits of each text [length * V], all texts in one batch. */
  logits(texts: readonly Int32Array[]): readonly Float32Array[];
  /** Logits of one text [length * V], read in pieces of these lengths, as a decoder does. Left out: there is no decoder. */
  incremental?(text: Int32Array, pieces: readonly number[]): Float32Array;
  /** Largest difference that rounding may make; 0 (default): the same bits. */
  readonly tolerance?: number;
}

type Models = ModelUnderTest | fc.Arbitrary<ModelUnderTest>;

/** @throws naming the first logit that is too far from where it was */
function expectLogits(model: ModelUnderTest, got: Float32Array, want: Float32Array, what: string): void {
  const { tolerance = 0, classes } = model;
  if (tolerance === 0) {
    expectSameBits(got, want, what);
    return;
  }
  if (got.length !== want.length) throw new Error(`${what}: ${got.length} logits, not ${want.length}`);
  const at = got.findIndex((x, i) => !(Math.abs(x - want[i]) <= tolerance));
  if (at < 0) return;
  const place = `position ${Math.floor(at / classes)}, class ${at % classes}`;
  throw new Error(`${what}: ${place} is ${got[at]}, not ${want[at]} (${tolerance} allowed)`);
}

const isArbitrary = (models: Models): models is fc.Arbitrary<ModelUnderTest> => !('logits' in models);

/** A model, and what `of` draws for it. */
const withModel = <T>(models: Models, of: (model: ModelUnderTest) => fc.Arbitrary<T>) =>
  (isArbitrary(models) ? models : fc.constant(models)).chain((model) => fc.tuple(fc.constant(model), of(model)));

/** A text, and the same with the id of another one at place `at`, where the two differ. */
const changedTexts = ({ texts }: ModelUnderTest) =>
  fc
    .tuple(texts, texts, fc.nat())
    .map(([text, other, n]) => {
      const at = 1 + (n % (text.length - 1));
      const changed = text.slice();
      changed[at] = other[1 + (n % (other.length - 1))];
      return { text, changed, at };
    })
    .filter(({ text, changed, at }) => text[at] !== changed[at]);

/** Lengths of pieces that make up a text of `length` ids; the last of `sizes` is repeated. */
function piecesOf(length: number, sizes: readonly number[]): number[] {
  const pieces: number[] = [];
  for (let left = length; left > 0; left -= pieces[pieces.length - 1]) {
    pieces.push(Math.min(left, sizes[Math.min(pieces.length, sizes.length - 1)]));
  }
  return pieces;
}

function causality(models: Models, name: string): Law {
  return law(`${name}: changing an id moves no logit before it`, withModel(models, changedTexts), 60, ([model, c]) => {
    const [[before], [after]] = [model.logits([c.text]), model.logits([c.changed])];
    const end = c.at * model.classes;
    expectLogits(model, after.subarray(0, end), before.subarray(0, end), `before id ${c.at}`);
  });
}

function attention(models: Models, name: string): Law {
  return law(`${name}: changing an id moves the logits after it`, withModel(models, changedTexts), 20, ([model, c]) => {
    const begin = c.at * model.classes;
    const [before, after] = [c.text, c.changed].map((x) => model.logits([x])[0].subarray(begin));
    if (after.every((x, i) => x === before[i])) throw new Error(`nothing after id ${c.at} depends on it`);
  });
}

function prefix(models: Models, name: string): Law {
  const cases = withModel(models, ({ texts }) => fc.tuple(texts, fc.nat()));
  return law(`${name}: a text cut short has the first logits of the whole text`, cases, 40, ([model, [text, n]]) => {
    const length = 1 + (n % (text.length - 1));
    const [[whole], [short]] = [model.logits([text]), model.logits([text.subarray(0, length)])];
    expectLogits(model, short, whole.subarray(0, length * model.classes), `the first ${length} of ${text.length} ids`);
  });
}

function independence(models: Models, name: string): Law {
  const cases = withModel(models, ({ texts }) => fc.array(texts, { minLength: 2, maxLength: 4 }));
  return law(`${name}: a text has the same logits alone and among others`, cases, 30, ([model, texts]) => {
    const together = model.logits(texts);
    texts.forEach((text, i) => {
      expectLogits(model, together[i], model.logits([text])[0], `text ${i} of ${texts.length}`);
    });
  });
}

function decoding(models: Models, name: string): Law {
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 });
  const cases = withModel(models, ({ texts }) => fc.tuple(texts, sizes));
  const statement = `${name}: a text read in pieces has the logits of the whole text`;
  return law(statement, cases, 30, ([model, [text, lengths]]) => {
    if (!model.incremental) return;
    const found = model.incremental(text, piecesOf(text.length, lengths));
    expectLogits(model, found, model.logits([text])[0], 'read in pieces');
  });
}

/**
 * The laws of a model that predicts the next id:
 * - causality: changing id j moves no logit before j;
 * - it reads its input: changing id j moves a logit at j or after it;
 * - a text cut short has the first logits of the whole text;
 * - batch independence: a text has the same logits alone and among others;
 * - decoding: with `incremental`, a text read in pieces has the logits of the whole text.
 * @param model a model, or an arbitrary that draws one for each case   @param name how the laws call it
 */
export function modelLaws(model: Models, name: string = isArbitrary(model) ? 'the model' : model.name): Law[] {
  const laws = [causality, attention, prefix, independence].map((make) => make(model, name));
  return isArbitrary(model) || model.incremental ? [...laws, decoding(model, name)] : laws;
}
